"""The server in front of the simulator, with each upstream, and the real pi-ai if installed."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.simulator import Simulator
from copilot_proxy.upstreams.pi_ai.package import find_node
from tests.conftest import Proxy, clear_environment, settings_at

FOLDER = Path(os.environ.get("TEST_PI_AI_FOLDER") or Path(__file__).parent)
"""The folder where npm installs pi-ai; `make clients` installs it next to this file."""


def put_node_on_the_path() -> None:
    """Let the tests use the Node that npm may have installed next to pi-ai.

    The system's Node is often too old for pi-ai.
    """
    found = next((FOLDER / "node_modules").glob("node-*/bin/node"), None)
    if found is not None:
        os.environ["PATH"] = f"{found.parent}{os.pathsep}{os.environ.get('PATH', '')}"


def pi_ai_is_here() -> bool:
    try:
        find_node()
    except CopilotProxyError:
        return False
    return (FOLDER / "node_modules" / "undici").exists()


put_node_on_the_path()
needs_pi_ai = pytest.mark.skipif(
    not pi_ai_is_here(), reason=f"no Node that is new enough, or no pi-ai in {FOLDER}: make clients"
)


def give_pi_ai(home: Path) -> Path:
    """Return a home folder in which pi-ai is installed."""
    home.mkdir(exist_ok=True)
    (home / "pi-ai").symlink_to(FOLDER)
    return home


class Served:
    """A server, its simulator, and the name of its upstream."""

    def __init__(self, upstream: str, proxy: Proxy, simulator: Simulator) -> None:
        self.upstream = upstream
        self.proxy = proxy
        self.simulator = simulator


@pytest.fixture(scope="module", params=["copilot", pytest.param("pi-ai", marks=needs_pi_ai)])
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """One server for all tests of a module, since Node takes a while to start."""
    home = tmp_path_factory.mktemp("home")
    with (
        pytest.MonkeyPatch.context() as monkeypatch,
        Simulator(catalogue="2026-03", pace=0) as simulator,
    ):
        clear_environment(monkeypatch, home)
        if request.param == "pi-ai":
            give_pi_ai(home)
        settings = settings_at(simulator, upstream=request.param, header_grace=60, ollama=True)
        with Proxy(settings) as proxy:
            yield Served(request.param, proxy, simulator)


@pytest.fixture
def served(running: Served) -> Iterator[Served]:
    """The server, after clearing the requests and faults from earlier tests."""
    running.simulator.state.recorder.clear()
    running.proxy.records.clear()
    yield running
    running.simulator.state.faults.clear()
