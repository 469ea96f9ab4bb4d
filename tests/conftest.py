"""Fixtures for all tests: a clean environment, the simulator, and a server that uses it."""

import asyncio
import gc
import itertools
import json
import os
import signal
import socket
import ssl
import threading
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, Final, Self

import httpx
import pytest
import uvicorn

from copilot_proxy.app import create_app
from copilot_proxy.auth.copilot_token import Clock
from copilot_proxy.composition import make_backend, make_services
from copilot_proxy.dumps import dumps_for
from copilot_proxy.relay.records import RequestRecord
from copilot_proxy.routes.lazy_router import LazyRouter
from copilot_proxy.routes.services import Services
from copilot_proxy.server.uvicorn_config import server_config
from copilot_proxy.settings import Settings, load_settings
from copilot_proxy.simulator import SIMULATED_TOKEN, Simulator
from tests import selection, servers  # noqa: F401  # selection sets up property tests

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Shells ignore SIGINT in background jobs. Programs started by the tests would inherit that,
    # and could not be interrupted.
    signal.signal(signal.SIGINT, signal.default_int_handler)

RECORDINGS = Path(__file__).parent / "recordings"
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Loopback needs no certificates, and loading them would take longer than most tests."""
_PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
_PREFIXES = ("COPILOT_PROXY_", "OPENAI_", "ANTHROPIC_", "GOOGLE_", "GEMINI_", "SSL_CERT_")
_SIZE_VARIABLES = ("COLUMNS", "LINES")
UNFREEZE: Final = gc.unfreeze
_HOMES: Final = itertools.count()
_ROUTERS: Final[list[LazyRouter]] = []
"""Routers of stopped servers, for reuse, since creating one takes longer than most tests."""


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Freeze the objects loaded during collection, so that the garbage collector skips them."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()
        # A server in this process unfreezes everything when it stops. The collection
        # after that test would take half a second.
        gc.unfreeze = lambda: None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Report how many cases the tests in `fuzz` have tried."""
    reports = [r for group in terminalreporter.stats.values() for r in group]
    ended = [r for r in reports if getattr(r, "when", "") == "teardown"]
    cases = sum(value for r in ended for name, value in r.user_properties if name == "cases")
    if cases:
        terminalreporter.write_line(f"{cases} cases of fuzzing through HTTP")


@pytest.fixture(autouse=True)
def collect_garbage(request: pytest.FixtureRequest) -> Iterator[None]:
    """Collect garbage after each test, so that a test fails if it leaves a connection open.

    Otherwise, a later test would fail.
    """
    yield
    if not {"simulator", "proxy", "anyio_backend"}.isdisjoint(request.fixturenames):
        gc.collect()
        # Later collections skip the surviving objects, which makes them quick.
        gc.freeze()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def clear_environment(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """Remove the user's settings, keys, proxies and terminal size; use the folder `home`."""
    for name in list(os.environ):
        if name.startswith(_PREFIXES) or (
            name.upper() in _PROXY_VARIABLES or name in _SIZE_VARIABLES
        ):
            monkeypatch.delenv(name)
    # With this variable, no output would be lost when a terminal is closed.
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    monkeypatch.setenv("COPILOT_PROXY_HOME_DIR", str(home))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")


@pytest.fixture(autouse=True)
def clean_environment(
    collect_garbage: None,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """A separate environment for every test."""
    if "tmp_path" in request.fixturenames:
        home = request.getfixturevalue("tmp_path") / "home"
    else:
        # Creating a folder takes as long as many tests do, and few tests need it.
        home = tmp_path_factory.getbasetemp() / f"home-{next(_HOMES)}"
    clear_environment(monkeypatch, home)


@pytest.fixture
def no_retry_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Failed token exchanges and model lists are tried again at once, for tests of what follows.

    `auth/test_failed_exchanges` tests the delays.
    """
    for module in ("auth.copilot_auth", "upstreams.catalogue_cache"):
        monkeypatch.setattr(f"copilot_proxy.{module}.SHORT", (0.0, 0.0))


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """A simulator without pauses."""
    with Simulator(catalogue="2026-03", pace=0) as running:
        yield running


def settings_at(simulator: Simulator, **flags: object) -> Settings:
    """Return settings with a token for the simulator, by default without a ledger."""
    return load_settings(
        {
            "ledger": False,
            "github_url": simulator.url,
            "github_api_url": simulator.url,
            "github_token": SIMULATED_TOKEN,
            **flags,
        }
    )


class _Server(uvicorn.Server):
    """A server that starts and stops immediately, without uvicorn's polling."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()
        self.leave = asyncio.Event()

    async def main_loop(self) -> None:
        self.ready.set()
        await self.on_tick(0)
        await self.leave.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            await servers.close(server)
        state = self.server_state
        for connection in list(state.connections):
            connection.shutdown()
        while state.connections or state.tasks:  # noqa: ASYNC110  # uvicorn has no event for it
            await asyncio.sleep(0.001)
        await self.lifespan.shutdown()


class Proxy:
    """The server in a thread, on a free port; `records` contains the records of its requests."""

    def __init__(
        self, settings: Settings, *, simulated: bool = False, clock: Clock | None = None
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.simulated = simulated
        self.records: list[RequestRecord] = []
        self.url = ""
        self._recorded = threading.Condition()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._router = _ROUTERS.pop() if _ROUTERS else LazyRouter()
        self._thread.start()
        assert self._ready.wait(60)
        assert self.url, "the server did not start"
        return self

    def __exit__(self, *_: object) -> None:
        self.close_streams()
        self._loop.call_soon_threadsafe(self._server.leave.set)
        self._thread.join(60)
        assert not self._thread.is_alive(), "the server did not stop"
        _ROUTERS.append(self._router)

    def client(self, **options: Any) -> httpx.Client:
        """A plain HTTP client for the server."""
        return httpx.Client(
            base_url=self.url, timeout=60, trust_env=False, verify=NO_TLS, **options
        )

    def wait_for_record(self, count: int = 1) -> RequestRecord:
        """Return record number `count` once its request has ended."""
        with self._recorded:
            assert self._recorded.wait_for(lambda: len(self.records) >= count, 60)
            return self.records[count - 1]

    def close_streams(self) -> None:
        """End the dashboard's streams, as the server does before it stops."""
        self._loop.call_soon_threadsafe(self.running.dashboard.close)

    def _report(self, record: RequestRecord) -> None:
        with self._recorded:
            self.records.append(record)
            self._recorded.notify_all()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        finally:
            self._ready.set()

    def services(self) -> Services:
        """The server's services, created in its event loop."""
        return make_services(
            self.settings,
            report=self._report,
            simulated=self.simulated,
            backend=make_backend(
                self.settings,
                report=self._report,
                clock=self.clock,
                dumps=dumps_for(self.settings),
                serving=True,
            ),
        )

    async def _serve(self) -> None:
        self.running = self.services()
        config = server_config(create_app(self.running, self._router), self.settings)
        config.port = 0
        self._loop = asyncio.get_running_loop()
        self._server = _Server(config)
        serving = asyncio.create_task(self._server.serve())
        ready = asyncio.create_task(self._server.ready.wait())
        await asyncio.wait({serving, ready}, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if serving.done():
            return await serving
        port = self._server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self._ready.set()
        return await serving


@pytest.fixture
def proxy(simulator: Simulator) -> Iterator[Proxy]:
    """A server that is signed in to the simulator."""
    with Proxy(settings_at(simulator)) as running:
        yield running


def recorded_events(name: str) -> list[Any]:
    """Return the decoded events of a recorded stream, without its end mark."""
    text = (RECORDINGS / name).read_text(encoding="utf-8")
    lines = [line[6:] for line in text.splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def recorded_json(name: str) -> Any:
    """Return a recorded answer."""
    return json.loads((RECORDINGS / name).read_text(encoding="utf-8"))
