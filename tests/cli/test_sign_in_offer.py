"""Commands run on a terminal without a sign-in: the path to the first answer."""

from collections.abc import Callable

import httpx
import pytest

from copilot_proxy.simulator.server import Simulator
from tests.cli.conftest import Terminal
from tests.conftest import NO_TLS
from tests.ports import free_port


@pytest.fixture
def start(simulator: Simulator, terminal: Callable[..., Terminal]) -> Callable[[int], Terminal]:
    """Return a function that starts ``serve`` on a port, without a sign-in."""
    simulator.state.device_flow = ["ok"]
    return lambda port: terminal("serve", "--port", str(port), BROWSER="true")


def test_it_offers_to_sign_in_and_then_serves(start: Callable[[int], Terminal]) -> None:
    """A single command leads from a fresh install to an answer."""
    port = free_port()
    screen = start(port)
    screen.expect("Sign in now? [Y/n]")
    screen.type("")
    screen.expect("[y/N]")
    screen.type("y")
    screen.expect("Signed in as mona")
    text = screen.expect("Stop with Ctrl+C.")
    assert f"http://127.0.0.1:{port}/v1" in text
    assert "Start the server with" not in text

    asked = {"model": "default", "messages": [{"role": "user", "content": "Hi"}]}
    url = f"http://127.0.0.1:{port}/v1/chat/completions"
    assert 200 == httpx.post(url, json=asked, verify=NO_TLS, timeout=60).status_code
    screen.interrupt()
    assert 0 == screen.end()


def test_no_is_an_answer(start: Callable[[int], Terminal]) -> None:
    """After a no, the command ends as it does without a terminal."""
    screen = start(free_port())
    screen.expect("Sign in now? [Y/n]")
    screen.type("n")
    assert 3 == screen.end()
    assert "Sign in with:" in screen.screen
    assert "login" in screen.screen


def test_chat_offers_it(simulator: Simulator, terminal: Callable[..., Terminal]) -> None:
    """The prompt is answered after the sign-in."""
    simulator.state.device_flow = ["ok"]
    screen = terminal("chat", "Say hello", BROWSER="true")
    _sign_in(screen)
    screen.expect("You said:")
    assert 0 == screen.end()


def test_run_offers_it(simulator: Simulator, terminal: Callable[..., Terminal]) -> None:
    """The program starts after the sign-in."""
    simulator.state.device_flow = ["ok"]
    command = ("run", "env", "--", "sh", "-c", "echo has $OPENAI_API_KEY")
    screen = terminal(*command, BROWSER="true", COPILOT_PROXY_PORT=str(free_port()))
    _sign_in(screen)
    screen.expect("has unused")
    assert 0 == screen.end()


def _sign_in(screen: Terminal) -> None:
    screen.expect("Sign in now? [Y/n]")
    screen.type("")
    screen.expect("[y/N]")
    screen.type("y")
    screen.expect("Signed in as mona")
