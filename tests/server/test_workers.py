"""Several worker processes on one socket."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from copilot_proxy.cli.main import run
from copilot_proxy.cli.worker import run_worker
from copilot_proxy.server import supervisor as supervisor_module
from copilot_proxy.server import worker_process
from copilot_proxy.server.supervisor import Supervisor
from copilot_proxy.server.worker_channel import WorkerConfig, encode_config
from copilot_proxy.settings import load_settings
from copilot_proxy.simulator import SIMULATED_TOKEN, Simulator
from tests.attack.site import can_listen
from tests.cli.terminals import (
    Terminal,
    client_of,
    question,
    serve_while,
    sign_in,
    wait_until,
)
from tests.conftest import NO_TLS, settings_at
from tests.selection import first, only_in_ci

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has one process")
linux = pytest.mark.skipif(sys.platform != "linux", reason="child processes are looked up in /proc")


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch, simulator: Simulator) -> Simulator:
    """The simulator, with the user signed in to it."""
    sign_in(monkeypatch, simulator)
    return simulator


class Stream:
    """A stream read in a thread; `begun` is set once something has been received."""

    def __init__(self, url: str) -> None:
        self.lines: list[str] = []
        self.failure: Exception | None = None
        self.begun = threading.Event()
        self._url = url
        self._thread = threading.Thread(target=self._read)
        self._thread.start()
        assert self.begun.wait(60)

    def end(self) -> list[str]:
        """Wait for the end of the stream; return all lines."""
        self._thread.join(60)
        assert not self._thread.is_alive()
        return self.lines

    @property
    def is_whole(self) -> bool:
        return self.end()[-2:] == ["data: [DONE]", ""] and "error" not in self.lines[-4]

    def _read(self) -> None:
        body = question("Write 600 words", stream=True)
        try:
            with httpx.stream(
                "POST", f"{self._url}/chat/completions", json=body, timeout=60, verify=NO_TLS
            ) as it:
                for line in it.iter_lines():
                    self.lines.append(line)
                    self.begun.set()
        except httpx.HTTPError as error:
            self.failure = error
        self.begun.set()


def url_in(terminal: Terminal) -> str:
    shown = terminal.wait_for("Stop with Ctrl+C.")
    return next(line for line in shown.splitlines() if "Base URL" in line).split()[-1]


def children(of: int) -> list[int]:
    """Return the child processes of `of`, oldest first."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = stat.read_text().rpartition(")")[2].split()[1]
            if int(parent) == of:
                found.append(int(stat.parent.name))
    return sorted(found)


def _state(process: int) -> str:
    """Return the state of a process, such as ``T`` for suspended."""
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]


@contextlib.contextmanager
def asleep(worker: int) -> Iterator[None]:
    """Suspend a worker while the block runs, so that the other worker receives all requests."""
    os.kill(worker, signal.SIGSTOP)
    try:
        # On another core, it may keep running briefly, and accept a connection.
        wait_until(lambda: _state(worker) == "T")
        yield
    finally:
        os.kill(worker, signal.SIGCONT)


def streams_of_both(terminal: Terminal, url: str) -> tuple[Stream, Stream]:
    first, second = children(terminal.id)
    with asleep(first):
        one = Stream(url)
    with asleep(second):
        return one, Stream(url)


@linux
def test_a_killed_worker_fails_only_its_own_requests(account: Simulator) -> None:
    """The other worker's stream is complete, the log has one line, and the worker is restarted."""
    account.state.pace = 0.05
    with Terminal("serve", "--port", "0", "--workers", "2") as terminal:
        lost, kept = streams_of_both(terminal, url := url_in(terminal))
        first, second = children(terminal.id)
        os.kill(second, signal.SIGKILL)
        terminal.wait_for(f"Worker 2 (process {second}) was killed by SIGKILL; restarting it.")
        account.state.pace = 0
        assert kept.is_whole
        assert lost.end()
        assert lost.failure
        wait_until(lambda: len(children(terminal.id)) == 2)
        assert children(terminal.id)[0] == first
        with asleep(first):
            assert httpx.get(f"{url}/models", timeout=60, verify=NO_TLS).status_code == 200
        terminal.press("c")
        assert terminal.end() == 0
        assert "Traceback" not in terminal.text


@linux
@pytest.mark.parametrize("how", first(["ctrl-c", "sigterm", "sigterm to all", "sighup"]))
def test_stopping_lets_the_answers_of_all_workers_end(account: Simulator, how: str) -> None:
    """One line shows the number of open requests; they finish, and the exit code is 0.

    A service manager may signal the workers as well.
    """
    account.state.pace = 0.05
    with Terminal("serve", "--port", "0", "--workers", "2") as terminal:
        streams = streams_of_both(terminal, url_in(terminal))
        if how == "ctrl-c":
            terminal.press("c")
        elif how == "sighup":
            terminal.kill(signal.SIGHUP)
        else:
            for worker in children(terminal.id) if how == "sigterm to all" else ():
                os.kill(worker, signal.SIGTERM)
            terminal.kill(signal.SIGTERM)
        terminal.wait_for("Finishing 2 open requests; press Ctrl+C again to stop now.")
        account.state.pace = 0
        assert terminal.end() == 0
        assert "Traceback" not in terminal.text
        assert terminal.text.count("Finishing") == terminal.text.count("Stopped.") == 1
    assert all(stream.is_whole for stream in streams)


@only_in_ci
@linux
def test_a_second_ctrl_c_aborts_the_requests_of_all_workers(account: Simulator) -> None:
    """Every client receives an error, one line shows how many, and the exit code is 130."""
    account.state.pace = 0.05
    with Terminal("serve", "--port", "0", "--workers", "2") as terminal:
        streams = streams_of_both(terminal, url_in(terminal))
        terminal.press("c")
        terminal.wait_for("Finishing 2 open requests")
        terminal.press("c")
        assert terminal.end() == 130
        assert terminal.text.count("Aborting 2 open requests.") == 1
        assert "Traceback" not in terminal.text
    for stream in streams:
        error = json.loads(stream.end()[-4].removeprefix("data: "))["error"]
        assert error["code"] == "server_stopped"


@linux
def test_workers_without_their_server_finish_and_end(account: Simulator) -> None:
    """If the supervisor is killed, open requests finish, and the port becomes free."""
    account.state.pace = 0.05
    with Terminal("serve", "--port", "0", "--workers", "2") as terminal:
        streams = streams_of_both(terminal, url := url_in(terminal))
        terminal.kill(signal.SIGKILL)
        wait_until(lambda: can_listen(httpx.URL(url).port or 0))
        account.state.pace = 0
        assert all(stream.is_whole for stream in streams)
        terminal.end()  # workers also hold the terminal open


@only_in_ci
@linux
def test_secrets_are_in_no_argument_and_no_environment_of_a_worker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The workers have the key and the token, but not in their command lines or environments."""
    key = "my-own-key-123456"
    monkeypatch.setenv("COPILOT_PROXY_API_KEY", key)
    with Terminal("serve", "--port", "0", "--workers", "2") as terminal:
        url = url_in(terminal)
        for worker in children(terminal.id):
            for name in ("cmdline", "environ"):
                shown = Path(f"/proc/{worker}/{name}").read_bytes()
                assert shown
                assert key.encode() not in shown
                assert SIMULATED_TOKEN.encode() not in shown
        for headers, expected in ({}, 401), ({"x-api-key": key}, 200):
            asked = httpx.get(f"{url}/models", headers=headers, verify=NO_TLS, timeout=60)
            assert expected == asked.status_code
        terminal.press("c")
        assert terminal.end() == 0


def test_the_simulator_with_a_unix_socket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The simulator serves all workers, the Unix socket is shared, and it is removed at the end."""
    monkeypatch.chdir(tmp_path)
    answers: list[dict[str, Any]] = []

    def use(client: httpx.Client) -> None:
        answers.append(client.get("/health").json())
        asked = question("Hi", model="default")
        assert client.post("/v1/chat/completions", json=asked).status_code == 200

    path = Path("proxy.sock")
    assert serve_while(use, "--simulate", "--workers", "2", uds=path) == 0
    assert answers[0]["simulated"] is True
    assert not path.exists()
    assert capsys.readouterr().err.endswith("Stopped.\n")


def supervisor(code: str, **more: Any) -> tuple[Supervisor, socket.socket]:
    """Return a supervisor whose workers run `code`, and the socket that it serves on."""
    listener = socket.create_server(("127.0.0.1", 0))
    nothing: dict[str, Any] = dict.fromkeys(("on_ready", "on_finishing", "on_cut"), lambda *_: None)
    start = WorkerConfig(
        number=0, settings=load_settings(), credential=None, simulated=False, listeners=()
    )
    options = {"count": 2, "shutdown_timeout": 0.05, **nothing, **more}
    return Supervisor(start, program=[sys.executable, "-c", code], **options), listener


async def test_a_worker_that_is_not_ready_yet_can_finish(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The worker may already have served requests, and must record their costs."""
    monkeypatch.setattr(supervisor_module, "_REPORT_TIMEOUT", 60.0)
    code = (
        "import pathlib, socket, sys\n"
        "channel = socket.socket(fileno=int(sys.argv[1]))\n"
        "read = channel.recv(100_000)\n"
        "is_second = b'number\\x94K\\x02' in read\n"
        "if not is_second: channel.sendall(b'ready 0\\n')\n"
        "while not read.endswith(b'finish\\n'): read = channel.recv(100)\n"
        f"if is_second: pathlib.Path({str(tmp_path / 'rows')!r}).touch()\n"
    )
    ready = asyncio.Event()
    server, listener = supervisor(code, on_ready=ready.set)
    serving = asyncio.create_task(server.serve([listener]))
    await ready.wait()
    while len(server._workers) < 2:  # noqa: ASYNC110  # there is no event for it
        await asyncio.sleep(0.001)
    server.finish()
    await serving
    assert (tmp_path / "rows").exists()


async def test_a_worker_that_hangs_is_killed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The worker is killed after a timeout, and the log says so."""
    monkeypatch.setattr(supervisor_module, "_REPORT_TIMEOUT", 0.05)
    monkeypatch.setattr(supervisor_module, "_EXIT_TIMEOUT", 0.05)
    code = (
        "import signal, socket, sys\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "socket.socket(fileno=int(sys.argv[1])).sendall(b'ready 0\\n')\n"
        "signal.pause()\n"
    )
    server: Supervisor
    server, listener = supervisor(code, on_ready=lambda: server.finish())
    await server.serve([listener])
    assert not server._alive()
    assert not server.was_cut
    assert ") is not responding; killing it." in caplog.text


@pytest.mark.parametrize("program", [["-c", "raise SystemExit(1)"], None])
def test_workers_that_cannot_start_are_given_up(
    program: list[str] | None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """After five failed starts of each worker, there is one error, and the exit code is 1."""
    command = [sys.executable, *program] if program else ["/nowhere/python"]
    monkeypatch.setattr(worker_process, "worker_command", lambda: command)
    monkeypatch.setattr(supervisor_module, "_RESTART_DELAYS", (0.01, 0.02))
    assert run(["serve", "--port", "0", "--workers", "2"]) == 1
    err = capsys.readouterr().err
    assert err.count("Error: No worker could be started in 5 attempts.") == 1
    assert " is ready." not in err
    reason = "exited with code 1" if program else "could not be started (No such file"
    assert reason in err


async def test_one_failing_worker_does_not_stop_the_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The other worker keeps serving, however often the first one fails."""
    monkeypatch.setattr(supervisor_module, "_RESTART_DELAYS", (0.01, 0.02))
    code = (
        "import socket, sys\n"
        "channel = socket.socket(fileno=int(sys.argv[1]))\n"
        "start = channel.recv(100_000)\n"
        "if b'number\\x94K\\x02' in start: raise SystemExit(1)\n"
        "channel.sendall(b'ready 0\\n')\n"
        "channel.recv(1)\n"
    )
    server, listener = supervisor(code)
    failed = server._count_failure

    def note(number: int) -> None:
        failed(number)
        if server._failures[number] > 2 * supervisor_module._MAX_FAILED_STARTS:
            server.finish()

    server._count_failure = note  # type: ignore[method-assign]
    await server.serve([listener])
    assert server._failures[1] == 0


@pytest.mark.parametrize("by", ["order", "silence"])
def test_the_work_of_a_worker(simulator: Simulator, by: str) -> None:
    """A worker reports that it is ready, serves, and ends on command or when orphaned."""
    ours, theirs = socket.socketpair()
    listener = socket.create_server(("127.0.0.1", 0))
    start = WorkerConfig(
        number=1,
        settings=replace(settings_at(simulator), log_format="json"),
        credential=None,
        simulated=False,
        listeners=(listener.detach(),),
    )
    with socket.socket(fileno=os.dup(start.listeners[0])) as copy:
        port = copy.getsockname()[1]
    worker = threading.Thread(target=run_worker, args=(theirs,))
    with ours:
        ours.sendall(encode_config(start))
        worker.start()
        assert ours.recv(100) == b"ready 0\n"
        with client_of(port) as client:
            answer = client.post("/v1/chat/completions", json=question("Hi"))
            assert answer.status_code == 200
            simulator.state.faults.on("stall_before_headers", path="/chat/completions")
            if by == "order":
                cut: list[httpx.Response] = []
                asking = threading.Thread(
                    target=lambda: cut.append(
                        client.post("/v1/chat/completions", json=question("Hi"))
                    )
                )
                asking.start()
                simulator.state.recorder.wait_for(
                    lambda one: one.path == "/chat/completions" and not one.done.is_set(),
                    timeout=60,
                )
                ours.sendall(b"finish\n")
                assert ours.recv(100) == b"finishing 1\n"
                ours.sendall(b"cut\n")
                assert ours.recv(100) == b"cut 1\n"
                asking.join(60)
                assert cut[0].json()["error"]["code"] == "server_stopped"
    worker.join(60)
    assert not worker.is_alive()


@pytest.mark.parametrize("sent", [0, 2, 50])
def test_a_worker_without_its_configuration(simulator: Simulator, sent: int) -> None:
    """A worker that gets no configuration, or only part of it, ends."""
    ours, theirs = socket.socketpair()
    start = WorkerConfig(
        number=1, settings=settings_at(simulator), credential=None, simulated=False, listeners=()
    )
    ours.sendall(encode_config(start)[:sent])
    ours.close()
    run_worker(theirs)
    assert theirs.fileno() == -1


def test_one_process_does_not_import_the_worker_modules(account: Simulator) -> None:
    """A server with one process does not import the worker modules."""
    code = (
        "import os, signal, sys, threading\n"
        "from copilot_proxy.cli.main import run\n"
        "from copilot_proxy.cli.lifecycle_messages import LifecycleMessages\n"
        "LifecycleMessages.ready = lambda *_: os.kill(os.getpid(), signal.SIGTERM)\n"
        "assert run(['serve', '--port', '0']) == 0\n"
        "print([name for name in sys.modules if 'cli.worker' in name])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@only_in_ci
@linux
def test_a_deleted_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers start even if the current folder has been deleted."""
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    codes: list[int] = []

    def use(client: httpx.Client) -> None:
        codes.append(client.post("/v1/chat/completions", json=question("Hi")).status_code)

    assert serve_while(use, "--workers", "2") == 0
    assert codes == [200]


def test_windows(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The error says that several workers need Linux or macOS."""
    monkeypatch.setattr(sys, "platform", "win32")
    assert run(["serve", "--workers", "2", "--port", "0"]) == 2
    assert "More than one worker needs Linux or macOS." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("code", "description"),
    [
        (0, "exited with code 0"),
        (-9, "was killed by SIGKILL"),
        (-99, "was killed by signal 99"),
    ],
)
def test_descriptions_of_exit_codes(code: int, description: str) -> None:
    """The exit code is described in words."""
    assert supervisor_module._describe_exit(code) == description


def test_zero_workers_are_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    """The number of workers must be at least 1."""
    assert run(["serve", "--workers", "0"]) == 2
    assert "--workers is invalid" in capsys.readouterr().err
