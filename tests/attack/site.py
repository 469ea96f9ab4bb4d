"""The server as a user starts it, with an upstream that only sends prepared bytes."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from benchmarks.marks import make_prompt
from benchmarks.processes import end, helper
from benchmarks.upstream_answers import CHAT_MODEL
from copilot_proxy.simulator import SIMULATED_TOKEN
from tests.ports import free_port

PROGRAM: Final = Path(sys.executable).with_name("copilot-proxy")
PATIENCE: Final = 60.0
"""A timeout in seconds for anything that should happen immediately."""
CHAT: Final = "/v1/chat/completions"


class Impossible(Exception):
    """Raised if an attack is impossible on this machine; the message says why."""


def until(condition: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
    """Return the first truthy value of `condition`; raise AssertionError after `seconds`."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError(f"{what}: not within {seconds:.0f} s")


def can_listen(port: int) -> bool:
    """Return whether the port is free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen()
        except OSError:
            return False
    return True


@dataclass
class Answer:
    """The response to a request."""

    status: int
    body: str

    @property
    def message(self) -> str:
        """The message of an error in OpenAI's format."""
        return str(json.loads(self.body)["error"]["message"])


class Stream:
    """A streamed answer of `count` events, `rate` per second, read by a thread."""

    def __init__(self, server: "Server", *, rate: int, count: int) -> None:
        self.text = ""
        self.failure = ""
        self.has_begun = threading.Event()
        self._count = count
        self._server = server
        self._rate = rate
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        assert self.has_begun.wait(PATIENCE), "a stream did not begin"

    @property
    def events(self) -> int:
        """The number of events that have arrived."""
        return self.text.count("~")

    @property
    def is_whole(self) -> bool:
        """Wait for the end; return whether every event and the end marker arrived."""
        self._thread.join(PATIENCE * 3)
        assert not self._thread.is_alive(), "a stream did not end"
        return self.events == self._count and self.text.rstrip().endswith("data: [DONE]")

    def _read(self) -> None:
        try:
            with contextlib.closing(self._server.connect()) as connection:
                connection.request(*self._server.question(True, self._rate, self._count))
                response = connection.getresponse()
                while data := response.read1(65536):
                    self.text += data.decode()
                    self.has_begun.set()
        except (OSError, http.client.HTTPException) as error:
            self.failure = repr(error)
        self.has_begun.set()


@dataclass
class Server:
    """A running server."""

    process: "subprocess.Popen[str]"
    port: int
    host: str
    output: Path

    @property
    def said(self) -> str:
        """Everything that the server has written to the terminal."""
        return self.output.read_text(errors="replace")

    def connect(self) -> http.client.HTTPConnection:
        """Return a connection."""
        return http.client.HTTPConnection(self.host, self.port, timeout=PATIENCE)

    def question(self, stream: bool, rate: int, count: int, more: str = "") -> tuple[Any, ...]:
        """Return a chat request, as arguments for ``HTTPConnection.request``."""
        prompt = make_prompt(rate=rate, count=count, number=1) + more
        body = {
            "model": CHAT_MODEL,
            "stream": stream,
            "messages": [{"role": "user", "content": prompt}],
        }
        return "POST", CHAT, json.dumps(body), {"content-type": "application/json"}

    def ask(self, more: str = "") -> Answer:
        """Send a chat request, and return its answer."""
        with contextlib.closing(self.connect()) as connection:
            connection.request(*self.question(False, 0, 1, more))
            response = connection.getresponse()
            return Answer(response.status, response.read().decode())

    def get(self, path: str) -> Answer:
        """Send a GET request for a path."""
        with contextlib.closing(self.connect()) as connection:
            connection.request("GET", path)
            response = connection.getresponse()
            return Answer(response.status, response.read().decode())

    def check(self) -> None:
        """Fail unless the server answers a chat request."""
        answer = self.ask()
        assert 200 == answer.status, answer

    def is_answering(self) -> bool:
        """Return whether the server answers a chat request."""
        with contextlib.suppress(OSError, http.client.HTTPException):
            return self.ask().status == 200
        return False

    def is_up(self) -> bool:
        """Return whether the server answers."""
        assert self.process.poll() is None, f"it ended by itself: {self.said[-500:]}"
        with contextlib.suppress(OSError, http.client.HTTPException):
            return self.get("/health").status in (200, 503)
        return False

    def children(self) -> list[int]:
        """Return the process ids of its workers."""
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(one) for one in path.read_text().split()]

    def stop(self) -> int:
        """Stop the server as a service manager would; return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)


@dataclass
class Site:
    """A folder and an upstream for starting servers."""

    folder: Path
    upstream: str
    open: list["subprocess.Popen[str]"] = field(default_factory=list)

    def environment(self, home: Path | None = None) -> dict[str, str]:
        """Return the environment of a server with its files in `home`."""
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        return {
            **kept,
            "HOME": str(self.folder),
            "COPILOT_PROXY_HOME_DIR": str(home or self.folder / "home"),
            "COPILOT_PROXY_GITHUB_URL": self.upstream,
            "COPILOT_PROXY_GITHUB_API_URL": self.upstream,
            "COPILOT_PROXY_GITHUB_TOKEN": SIMULATED_TOKEN,
            "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
        }

    def recorded_requests(self) -> int:
        """Return how many requests ``copilot-proxy usage`` counts."""
        done = subprocess.run(
            [PROGRAM, "usage", "--json"],
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return int(json.loads(done.stdout)["total"]["requests"])

    @contextlib.contextmanager
    def serve(
        self,
        *arguments: str,
        before: Sequence[str] = (),
        more: Mapping[str, str] | None = None,
        home: Path | None = None,
        port: int = 0,
        host: str = "127.0.0.1",
        prepare: Callable[[], None] | None = None,
        waits: bool = True,
        shell: str = "",
    ) -> Iterator[Server]:
        """Run ``copilot-proxy serve ARGUMENTS`` while the block runs.

        `before` is a program, with its arguments, that runs the command. With `shell`, which
        contains redirections, a shell runs it. `prepare` runs in the new process.
        """
        port = port or free_port(host)
        command = [
            *before,
            *(str(PROGRAM), "serve", "--host", host, "--port", str(port)),
            *arguments,
        ]
        if shell:
            command = ["sh", "-c", f'exec "$@" {shell}', "sh", *command]
        output = self.folder / f"output-{len(self.open)}"
        with output.open("w") as written:
            process = subprocess.Popen(
                command,
                env={**self.environment(home), **(more or {})},
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=subprocess.STDOUT,
                text=True,
                preexec_fn=prepare,  # this program has no threads yet
                cwd=self.folder,
            )
        self.open.append(process)
        server = Server(process, port, host, output)
        try:
            if waits:
                until(server.is_up, "start of the server")
            yield server
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                end(process)


@contextlib.contextmanager
def site() -> Iterator[Site]:
    """Yield a site with an empty folder and a new upstream."""
    with (
        tempfile.TemporaryDirectory(prefix="attack-") as folder,
        helper("upstream") as (upstream, _),
    ):
        yield Site(Path(folder), upstream["url"])
