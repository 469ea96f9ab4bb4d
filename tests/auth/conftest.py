"""Gives every sign-in test a separate home folder, keyring and environment."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import keyring
import pytest
from keyring.backends import fail

from copilot_proxy.auth.copilot_auth import CopilotAuth
from copilot_proxy.auth.github import GitHub
from copilot_proxy.network.http_clients import make_client
from copilot_proxy.settings import Settings, load_settings
from copilot_proxy.simulator.server import Simulator
from tests.auth.accounts import Store, Time
from tests.auth.keyrings import MemoryKeyring

SCRUBBED = (
    "COPILOT_PROXY_",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "SSL_CERT_",
    "PYTHON_KEYRING_",
    "KEYRING_",
    "BROWSER",
)


@pytest.fixture
def anyio_backend() -> str:
    """The event loop library that the program uses."""
    return "asyncio"


@pytest.fixture(autouse=True)
def own_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Isolate tests from this machine's settings and keyring."""
    for name in list(os.environ):
        if name.upper().startswith(SCRUBBED):
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    monkeypatch.setenv("COPILOT_PROXY_HOME_DIR", str(home))
    keyring.set_keyring(fail.Keyring())
    yield home
    keyring.set_keyring(fail.Keyring())


@pytest.fixture
def memory_keyring() -> MemoryKeyring:
    """A working keyring, active during the test."""
    backend = MemoryKeyring()
    keyring.set_keyring(backend)
    return backend


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """The simulator, without pauses between events."""
    with Simulator(catalogue="2026-03", pace=0) as running:
        yield running


@pytest.fixture
def settings(simulator: Simulator) -> Settings:
    """Settings that point to the simulator."""
    return settings_for(simulator.url)


@pytest.fixture
async def client(own_home: Path) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client set up as in the program."""
    async with make_client(load_settings(environ={})) as made:
        yield made


@pytest.fixture
def now() -> Time:
    return Time()


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
async def auth(
    client: httpx.AsyncClient, settings: Settings, now: Time, store: Store
) -> AsyncIterator[CopilotAuth]:
    """A `CopilotAuth` against the simulator, with the test's clocks and store."""
    made = CopilotAuth(GitHub(client, settings), store.load, settings, clock=now.clock)
    yield made
    await made.close()


def settings_for(url: str, **environ: str) -> Settings:
    """Return settings with GitHub at `url`."""
    return load_settings(
        environ={
            "COPILOT_PROXY_HOME_DIR": os.environ["COPILOT_PROXY_HOME_DIR"],
            "COPILOT_PROXY_GITHUB_URL": url,
            "COPILOT_PROXY_GITHUB_API_URL": url,
            **{f"COPILOT_PROXY_{name}": value for name, value in environ.items()},
        }
    )
