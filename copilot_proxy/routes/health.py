"""``GET /health`` and ``GET /``: is the server up, and what is it."""

from dataclasses import dataclass
from typing import Literal

from litestar import MediaType, post, route

from copilot_proxy import __version__
from copilot_proxy.routes.services import AnyRequest, services_of


@dataclass(frozen=True)
class Cooldown:
    """What Copilot has refused, and is not asked for until `retry_in` seconds have passed."""

    scope: Literal["model", "account"]
    model: str | None
    """None where it is the account, or a model that no list has named: a client's word for it is
    not for everybody."""
    code: str
    retry_in: int
    """Seconds."""


@dataclass(frozen=True)
class Health:
    """The state of the server. `signed_in` is ``unknown`` until the first request needs it."""

    status: Literal["ok"]
    version: str
    simulated: bool
    upstream: str
    """Who asks Copilot: ``copilot`` is this program itself."""
    signed_in: Literal["yes", "no", "unknown"]
    token_expires_in: int | None
    """Seconds; the token is renewed long before."""
    last_error: str | None
    cooldowns: list[Cooldown]
    """What Copilot has refused, and is not asked for meanwhile."""


@route("/health", http_method=["GET", "HEAD"], summary="Is the server up and signed in")
async def health(request: AnyRequest) -> Health:
    """Costs nothing upstream, needs no key and names nobody."""
    services = services_of(request)
    state = services.upstream.state()

    def known(model: str | None) -> str | None:
        return model if model is not None and services.relay.names.is_known(model) else None

    return Health(
        status="ok",
        version=__version__,
        simulated=services.simulated,
        upstream=services.settings.upstream,
        signed_in=state.signed_in,
        token_expires_in=None if state.expires_in is None else int(state.expires_in),
        last_error=state.last_error,
        cooldowns=[
            Cooldown(one.scope, known(one.model), one.code, one.retry_in)
            for one in services.upstream.cooldowns()
        ],
    )


@route("/", http_method=["GET", "HEAD"], media_type=MediaType.TEXT, include_in_schema=False)
async def root(request: AnyRequest) -> str:
    """A plain sentence for whoever opens the address in a browser."""
    kind = " Its answers are simulated." if services_of(request).simulated else ""
    return (
        f"copilot-proxy {__version__} is running.{kind}\n"
        "Point an OpenAI client at /v1; the API is described at /schema.\n"
    )


@post("/api/event_logging/{rest:path}", status_code=204, include_in_schema=False)
async def client_telemetry(request: AnyRequest) -> None:
    """Claude Code reports on itself to its base URL; what it says goes nowhere."""
