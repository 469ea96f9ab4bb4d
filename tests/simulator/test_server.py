"""The simulator as a server: fast, local, and cleanly stopped."""

import contextlib
import gc
import socket
import subprocess
import sys
import threading
import warnings

import httpx
import pytest

from copilot_proxy.simulator import Simulator
from copilot_proxy.simulator.app import Application
from copilot_proxy.simulator.call import Call, ClientGone
from copilot_proxy.simulator.state import State


def test_it_listens_on_loopback_only(simulator):
    """The simulator is reachable only from this machine."""
    assert f"http://127.0.0.1:{simulator.port}" == simulator.url


def test_stop_ends_the_thread_and_frees_the_port():
    """`stop` ends the thread and frees the port."""
    before = threading.enumerate()
    with Simulator() as simulator:
        (thread,) = set(threading.enumerate()) - set(before)
        assert thread.is_alive()
    assert not thread.is_alive()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", simulator.port), timeout=1)


def test_it_stops_at_once_with_open_streams(simulator, copilot):
    """An open stream does not delay `stop`."""
    simulator.state.pace = 3600
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
    address = "/chat/completions"
    with copilot.http.stream("POST", address, json=body, headers=copilot.headers) as answer:
        assert 200 == answer.status_code
        simulator.stop()
        # The next event would have come much later.
        (record,) = [one for one in simulator.state.requests if one.path == address]
        assert record.done.is_set()
    simulator.stop()


def test_a_port_that_is_in_use(simulator):
    """Starting on a port that is in use raises OSError, which names the port."""
    with pytest.raises(OSError, match=str(simulator.port)):
        Simulator(port=simulator.port).start()


def test_it_can_be_started_again(simulator):
    """A stopped simulator can be started again on the same port."""
    port = simulator.port
    simulator.stop()
    simulator.start()
    assert port == simulator.port
    assert 200 == httpx.get(simulator.url, trust_env=False, timeout=60).status_code
    with pytest.raises(RuntimeError, match="already running"):
        simulator.start()


def test_a_failing_start_raises(monkeypatch):
    """If the server fails to start, `start` raises instead of waiting."""

    def fail(*args, **more):
        raise ZeroDivisionError

    monkeypatch.setattr("copilot_proxy.simulator.server._Config", fail)
    with pytest.raises(RuntimeError, match="did not start"):
        Simulator().start()


def test_run_serves_until_interrupted(monkeypatch):
    """`run` serves in the foreground and ends quietly on Ctrl+C."""
    simulator = Simulator()

    def interrupted(thread, timeout=None):
        # Ctrl+C is pressed during the first wait of the main thread.
        monkeypatch.undo()
        assert 200 == httpx.get(simulator.url, trust_env=False, timeout=60).status_code
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "join", interrupted)
    simulator.run()
    assert simulator._thread is None


def test_run_ends_when_the_server_ends():
    """`run` returns when the simulator is stopped by another thread."""
    simulator = Simulator()
    runner = threading.Thread(target=simulator.run)
    runner.start()
    while not simulator.url:
        runner.join(0.01)
    assert 200 == httpx.get(simulator.url, trust_env=False, timeout=60).status_code
    simulator.stop()
    runner.join(60)
    assert not runner.is_alive()


def test_importing_it_loads_nothing_heavy():
    """Importing the simulator loads no web framework, HTTP client or terminal library."""
    heavy = {"litestar", "httpx", "typer", "rich", "keyring", "copilot_proxy.formats"}
    code = "import copilot_proxy.simulator, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set() == heavy & set(done.stdout.split())


def test_the_front_page_says_what_it_is(http):
    """The front page says what the server is and how to use it."""
    answer = http.get("/")
    assert answer.text.startswith("This is copilot-proxy's simulator")
    assert "--simulate" in answer.text
    assert 200 == http.head("/").status_code


def test_ping_needs_no_token(http):
    """`/_ping` needs no token."""
    assert 200 == http.get("/_ping").status_code


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/models", "/nothing", "/v1"])
def test_unknown_paths_are_plain_404(copilot, path):
    """In the Copilot API, only Messages has a `/v1` path; unknown paths get a plain-text 404."""
    answer = copilot.post(path, {})
    assert (404, "404 page not found\n") == (answer.status_code, answer.text)


@pytest.mark.parametrize("path", ["/models", "/user", "/models/gpt-4o/policy"])
def test_wrong_methods_are_405(copilot, path):
    """A known path with a wrong method does not get a 404."""
    assert 405 == copilot.http.put(path, headers=copilot.headers).status_code


def test_a_bug_is_recorded(simulator, copilot, monkeypatch, caplog):
    """If the simulator itself fails, the client receives a 500, and the record says why."""

    def fail(*args, **more):
        raise ZeroDivisionError

    monkeypatch.setattr("copilot_proxy.simulator.models.visible", fail)
    assert 500 == copilot.get("/models").status_code
    record = simulator.state.recorder.wait_for(lambda one: one.path == "/models" and one.ended)
    assert "bug" == record.finished
    assert "ZeroDivisionError" in caplog.text


async def test_only_http_is_served():
    """Only HTTP is served."""
    with pytest.raises(RuntimeError, match="websocket"):
        await Application(State())({"type": "websocket"}, None, None)  # type: ignore[arg-type]


async def test_a_client_that_leaves_during_its_upload_is_noticed():
    """A disconnect during the upload is recorded."""
    state = State()

    async def receive():
        return {"type": "http.disconnect"}

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/chat/completions",
        "query_string": b"",
        "headers": [],
    }
    await Application(state)(scope, receive, None)  # type: ignore[arg-type]
    assert [True] == [record.closed_by_client for record in state.requests]


async def test_nothing_is_sent_to_a_client_that_has_left():
    """Nothing is sent after a disconnect."""
    scope = {"method": "GET", "path": "/", "query_string": b"", "headers": []}
    call = Call(scope, None, None, State())  # type: ignore[arg-type]
    call.gone.set()
    for send in (lambda: call.start(200, {}), lambda: call.write(b""), call.end):
        with pytest.raises(ClientGone):
            await send()


def test_a_client_that_connects_during_shutdown_is_closed():
    """A connection accepted while the server closes is closed properly.

    Otherwise, it would only be garbage-collected.
    """
    simulator = Simulator().start()
    blocked, go_on = threading.Event(), threading.Event()

    def block():
        blocked.set()
        go_on.wait(60)

    loop, server = simulator._loop, simulator._server
    assert loop is not None
    assert server is not None
    loop.call_soon_threadsafe(block)
    assert blocked.wait(60)
    late = [socket.create_connection(("127.0.0.1", simulator.port), timeout=60) for _ in range(20)]
    stopping = threading.Thread(target=simulator.stop)
    loop.call_soon_threadsafe(server.leave)
    go_on.set()
    stopping.start()
    stopping.join(60)

    for one in late:
        with one, contextlib.suppress(ConnectionResetError):
            assert b"" == one.recv(1)
    with warnings.catch_warnings(record=True) as left:
        warnings.simplefilter("always", ResourceWarning)
        gc.collect()
    assert [] == [str(warning.message) for warning in left]
