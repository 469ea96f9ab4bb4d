"""The product as a user runs it: ``serve`` in separate processes that can be killed."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import httpx

from tests.ports import free_port

_START_SECONDS: Final = 120.0


class Server:
    """``copilot-proxy serve``; runs inside a `with` block, and can be killed and restarted."""

    def __init__(self, home: Path, upstream: str, *flags: str, budget: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.ready = threading.Event()
        """Whether the server is supposed to answer."""
        self._log = home / "server.log"
        self._command = [
            sys.executable, "-m", "copilot_proxy", "serve", "--port", str(self.port), *flags,
        ]  # fmt: skip
        self._environment = {
            **{name: value for name, value in os.environ.items()
               if not name.startswith("COPILOT_PROXY_")},
            "COPILOT_PROXY_HOME_DIR": str(home),
            "COPILOT_PROXY_BUDGET": budget,
            "COPILOT_PROXY_GITHUB_URL": upstream,
            "COPILOT_PROXY_GITHUB_API_URL": upstream,
            "COPILOT_PROXY_GITHUB_TOKEN": "ghu_Fake00000000000000000000000000000000",
            "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
        }  # fmt: skip
        home.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        with self._log.open("ab") as log:
            begun = log.tell()
            self._process = subprocess.Popen(
                self._command, env=self._environment, stdout=log, stderr=log
            )
        until = time.monotonic() + _START_SECONDS
        while time.monotonic() < until and self._process.poll() is None:
            with suppress(httpx.TransportError):
                httpx.get(f"{self.url}/health", trust_env=False, timeout=20)
                if b"Stop with Ctrl+C" in self._log.read_bytes()[begun:]:
                    self.ready.set()
                    return
            time.sleep(0.02)
        self.kill()
        raise RuntimeError(f"The server did not start:\n{self._log.read_text()[-2000:]}")

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run another command with the server's settings."""
        command = [sys.executable, "-m", "copilot_proxy", *arguments]
        return subprocess.run(
            command, env=self._environment, capture_output=True, text=True, check=False
        )

    def kill_worker(self) -> None:
        """Kill one worker, which the supervisor replaces."""
        os.kill(self._workers()[0], signal.SIGKILL)

    def kill(self) -> None:
        """Kill all processes at the same time, without warning."""
        self.ready.clear()
        for process in [*self._workers(), self._process.pid]:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self._process.wait()

    def _workers(self) -> list[int]:
        found = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self._process.pid)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return [int(number) for number in found.stdout.split()]
