"""The composition root: creates the objects that the commands need to talk to Copilot."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from copilot_proxy.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from copilot_proxy.auth.copilot_auth import Clock, CopilotAuth
    from copilot_proxy.auth.credential import Credential
    from copilot_proxy.auth.github import GitHub
    from copilot_proxy.budget.budget import Budget
    from copilot_proxy.dumps import Dumps
    from copilot_proxy.ledger.ledger import Ledger
    from copilot_proxy.metrics.telemetry import Telemetry
    from copilot_proxy.metrics.workers import SharedMetrics
    from copilot_proxy.relay.context_guard import ContextGuard
    from copilot_proxy.relay.records import RequestRecord
    from copilot_proxy.relay.relay import Relay
    from copilot_proxy.routes.services import Services
    from copilot_proxy.server.uvicorn_server import Server
    from copilot_proxy.upstreams.base import Upstream

    Report = Callable[[RequestRecord], None]


@dataclass(frozen=True, kw_only=True)
class CopilotConnection:
    """The objects that talk to GitHub and Copilot. They are enough to fetch the model list."""

    github: "GitHub"
    auth: "CopilotAuth"
    upstream: "Upstream"

    async def aclose(self) -> None:
        """Close all connections. Safe to call twice."""
        await self.auth.close()
        await self.upstream.aclose()
        await self.github.aclose()


@dataclass(frozen=True, kw_only=True)
class Backend(CopilotConnection):
    """The objects that handle requests to Copilot. They also work without a server."""

    relay: "Relay"
    metrics: "SharedMetrics | None" = None
    telemetry: "Telemetry | None" = None
    dumps: "Dumps | None" = None
    ledger: "Ledger | None" = None
    budget: "Budget | None" = None

    async def aclose(self) -> None:
        """Close everything, including the ledger. Safe to call twice."""
        for one in (self.ledger, self.budget):
            if one is not None:
                await asyncio.to_thread(one.close)
        if self.metrics is not None:
            self.metrics.close()
        if self.telemetry is not None:
            await self.telemetry.aclose()
        await super().aclose()


def check_upstream(settings: Settings) -> None:
    """Raise `CopilotProxyError` if the configured upstream is not installed."""
    if settings.upstream == "pi-ai":
        from copilot_proxy.upstreams.pi_ai.package import command_for

        command_for(settings)


def make_connection(
    settings: Settings,
    *,
    load: "Callable[[], Awaitable[Credential | None]] | None" = None,
    clock: "Clock | None" = None,
    dumps: "Dumps | None" = None,
    serving: bool = False,
) -> CopilotConnection:
    """Create the objects that talk to GitHub and Copilot.

    `make_backend` describes the parameters.
    """
    from copilot_proxy.auth.copilot_auth import CopilotAuth
    from copilot_proxy.auth.github import GitHub
    from copilot_proxy.auth.stores import Credentials
    from copilot_proxy.network import http_clients
    from copilot_proxy.upstreams.http.client_transport import make_transport
    from copilot_proxy.upstreams.http.copilot import CopilotUpstream

    client = http_clients.make_client(settings)
    transport = make_transport(client, many=serving)
    if dumps is not None:
        from copilot_proxy.upstreams.http.dumping import DumpingTransport

        transport = DumpingTransport(transport, dumps)
    github = GitHub(client, settings)
    load = load or Credentials.from_settings(settings).load_async
    auth = CopilotAuth(github, load, settings, clock=clock)
    copilot = CopilotUpstream(
        transport, auth, settings.identity, http_clients.timeouts(settings), clock=clock
    )
    upstream: Upstream = copilot
    if settings.upstream == "pi-ai":
        from copilot_proxy.upstreams.pi_ai.package import command_for
        from copilot_proxy.upstreams.pi_ai.sidecar import Sidecar
        from copilot_proxy.upstreams.pi_ai.upstream import PiAiUpstream

        sidecar = Sidecar("pi-ai", lambda: command_for(settings))
        upstream = PiAiUpstream(copilot, auth, settings.identity, sidecar)
    return CopilotConnection(github=github, auth=auth, upstream=upstream)


def make_backend(
    settings: Settings,
    *,
    report: "Callable[[RequestRecord], None]",
    load: "Callable[[], Awaitable[Credential | None]] | None" = None,
    clock: "Clock | None" = None,
    dumps: "Dumps | None" = None,
    serving: bool = False,
    metrics: "SharedMetrics | None" = None,
) -> Backend:
    """Create the backend; requires a running event loop.

    `report` is called after each request, before the ledger records it. `load` replaces the
    credential stores in the settings, and `clock` replaces the system's clock. `dumps` records the
    traffic. Set `serving` for many concurrent requests: this selects an HTTP client that takes
    longer to import. `metrics` counts the requests; if it is None and `serving` is set, new metrics
    are created.
    """
    from copilot_proxy.relay.admission import AdmitAll
    from copilot_proxy.relay.context_notice import ContextNotice
    from copilot_proxy.relay.relay import Relay

    connection = make_connection(settings, load=load, clock=clock, dumps=dumps, serving=serving)
    upstream = connection.upstream
    ledger, budget = _accounts(settings)
    guard = _guard(settings, budget)
    if metrics is None and serving:
        from copilot_proxy.metrics.workers import SharedMetrics

        metrics = SharedMetrics()
    telemetry = _telemetry(settings, metrics)
    exporter = telemetry.exporter if telemetry is not None else None
    notice = ContextNotice(guard or budget or AdmitAll())
    all_reports = (report, ledger, budget, guard, notice, metrics, exporter)
    reports = [one for one in all_reports if one is not None]
    return Backend(
        github=connection.github,
        auth=connection.auth,
        upstream=upstream,
        relay=Relay(
            upstream,
            default_model=settings.default_model,
            aliases=settings.aliases,
            small_model=settings.small_model,
            report=_in_turn(reports),
            admission=notice,
        ),
        metrics=metrics,
        telemetry=telemetry,
        dumps=dumps,
        ledger=ledger,
        budget=budget,
    )


def _telemetry(settings: Settings, metrics: "SharedMetrics | None") -> "Telemetry | None":
    """Return the exporter of OpenTelemetry data if the settings ask for it. Raises `UsageError`."""
    if metrics is None or settings.otlp_endpoint is None:
        return None
    from copilot_proxy.metrics.telemetry import telemetry_for

    return telemetry_for(settings, metrics.own)


def _accounts(settings: Settings) -> "tuple[Ledger | None, Budget | None]":
    """Return the ledger and the budget, or None for both if the ledger is off.

    Raises `UsageError` if a budget is set without the ledger that it needs.
    """
    if not settings.ledger:
        if settings.budget:
            settings.require_ledger()
        from copilot_proxy.budget.limits_file import path_for, report_unenforced

        report_unenforced(path_for(settings.ledger_file), settings.sources["ledger"])
        return None, None
    from copilot_proxy.budget.budget import Budget
    from copilot_proxy.ledger.ledger import Ledger

    budget = Budget(settings.ledger_file, settings.budget, settings.notify)
    return Ledger(settings.ledger_file, budget.end), budget


def _guard(settings: Settings, budget: "Budget | None") -> "ContextGuard | None":
    """Return the guard against the higher price of long prompts, or None if it is off."""
    if not settings.context_guard:
        return None
    from copilot_proxy.relay.admission import AdmitAll
    from copilot_proxy.relay.context_guard import ContextGuard

    return ContextGuard(budget or AdmitAll())


def _in_turn(reports: "Sequence[Report]") -> "Report":
    """Return a function that calls all of `reports`, even if one of them fails."""

    def report(record: "RequestRecord") -> None:
        failure: Exception | None = None
        for one in reports:
            try:
                one(record)
            except Exception as error:
                failure = error
        if failure is not None:
            raise failure

    return report


def make_services(
    settings: Settings,
    *,
    report: "Callable[[RequestRecord], None]",
    simulated: bool = False,
    backend: Backend | None = None,
) -> "Services":
    """Create the services that the server's routes use, with a new backend if `backend` is None."""
    from copilot_proxy.auth.caller_tokens import CallerTokens
    from copilot_proxy.dashboard.lazy import LazyDashboard
    from copilot_proxy.dumps import dumps_for
    from copilot_proxy.formats.responses.response_store import ResponseStore
    from copilot_proxy.metrics.workers import SharedMetrics
    from copilot_proxy.middleware.concurrency import ConcurrencyLimiter
    from copilot_proxy.network.image_fetcher import ImageFetcher
    from copilot_proxy.relay.response_memory import ResponseMemory
    from copilot_proxy.routes.services import Services

    backend = backend or make_backend(
        settings, report=report, dumps=dumps_for(settings), serving=True
    )
    return Services(
        settings=settings,
        upstream=backend.upstream,
        relay=backend.relay,
        responses=ResponseMemory(
            ResponseStore() if settings.responses_memory else None,
            limit=settings.max_body_bytes,
            workers=settings.workers,
        ),
        dashboard=LazyDashboard(settings, backend.relay, backend.upstream, simulated=simulated),
        metrics=backend.metrics or SharedMetrics(),
        aclose=backend.aclose,
        callers=CallerTokens(backend.github, settings, backend.auth.host),
        limiter=ConcurrencyLimiter(
            settings.max_concurrency, settings.max_queue, settings.queue_timeout
        ),
        images=ImageFetcher() if settings.fetch_images else None,
        dumps=backend.dumps,
        simulated=simulated,
    )


def make_server(
    settings: Settings,
    backend: Backend,
    *,
    report: "Callable[[RequestRecord], None]",
    simulated: bool,
    on_ready: Callable[[], None],
    on_finishing: Callable[[int], None],
    on_cut: Callable[[int], None],
    supervised: bool = False,
) -> "Server":
    """Create the server, which uses `backend`; see `Server` for the callbacks and the shutdown."""
    from copilot_proxy.app import create_app
    from copilot_proxy.server.uvicorn_server import Server

    services = make_services(settings, report=report, simulated=simulated, backend=backend)
    return Server(
        create_app(services),
        settings,
        on_ready=on_ready,
        on_stopping=services.dashboard.close,
        on_finishing=on_finishing,
        on_cut=on_cut,
        supervised=supervised,
    )
