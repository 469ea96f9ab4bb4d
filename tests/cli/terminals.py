"""Helpers: a pseudo-terminal whose screen can be read, and ``serve`` in the main thread."""

import logging
import os
import signal
import socket
import sys
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Self

import httpx
import pexpect
import pyte
import pytest

from copilot_proxy.cli.main import run
from copilot_proxy.simulator import SIMULATED_TOKEN, Simulator
from tests.conftest import NO_TLS
from tests.ports import free_port

TIMEOUT = 60.0
_REACTION_TIMEOUT = 2.0
"""The seconds after which a key that had no effect is pressed again."""


class Terminal:
    """``copilot-proxy`` in a pseudo-terminal, with its scrollback."""

    def __init__(
        self, *arguments: str, columns: int = 140, lines: int = 30, **environ: str
    ) -> None:
        self._screen = pyte.HistoryScreen(columns, lines, history=10_000, ratio=1)
        self._stream = pyte.ByteStream(self._screen)
        self._lines: list[str] | None = None
        """The lines as last read; None if more was written since."""
        self.written = b""
        with warnings.catch_warnings():
            # The child calls exec immediately, so the threads of this process do not affect it.
            warnings.simplefilter("ignore", DeprecationWarning)
            self._child = pexpect.spawn(
                sys.executable,
                ["-m", "copilot_proxy", *arguments],
                dimensions=(lines, columns),
                env={**os.environ, "TERM": "xterm-256color", **environ},
                timeout=TIMEOUT,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._child.close(force=True)

    @property
    def id(self) -> int:
        """The process id of the program."""
        return int(self._child.pid)

    @property
    def lines(self) -> list[str]:
        """The lines of the scrollback and of the screen."""
        if self._lines is None:
            above = [
                "".join(line[column].data for column in range(self._screen.columns)).rstrip()
                for line in self._screen.history.top
            ]
            self._lines = above + [line.rstrip() for line in self._screen.display]
        return self._lines

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def wait_for(self, text: str, times: int = 1) -> str:
        """Read until `text` occurs `times` times, and return all of the text."""
        deadline = time.monotonic() + TIMEOUT
        while self.text.count(text) < times:
            assert time.monotonic() < deadline, f"no {text!r} in:\n{self.text}"
            if not self._read():
                assert self.text.count(text) >= times, f"no {text!r} at the end of:\n{self.text}"
        return self.text

    def wait_for_prompt(self) -> None:
        """Read until the prompt is shown, since input before it may be lost."""
        deadline = time.monotonic() + TIMEOUT
        while self.text.split("\n")[self._screen.cursor.y - self._screen.lines] != ">":
            assert time.monotonic() < deadline, f"no prompt in:\n{self.text}"
            assert self._read(), f"no prompt at the end of:\n{self.text}"

    def type(self, line: str) -> None:
        self.send(line + "\r")

    def send(self, keys: str) -> None:
        self._child.send(keys)

    def press(self, key: str) -> None:
        """Press a key together with Ctrl."""
        self._child.sendcontrol(key)

    def interrupt(self, text: str) -> None:
        """Press Ctrl+C at a prompt until `text` is shown.

        Repetition is necessary because Python misses a Ctrl+C between writing the prompt and
        waiting for input.
        """
        deadline = time.monotonic() + TIMEOUT
        while text not in self.text:
            assert time.monotonic() < deadline, f"no {text!r} in:\n{self.text}"
            self.press("c")
            while text not in self.text and self._read(timeout=_REACTION_TIMEOUT):
                pass

    def kill(self, number: int) -> None:
        self._child.kill(number)

    def hang_up(self) -> None:
        """Close the terminal; the program only receives the system's SIGHUP."""
        self._child.ptyproc.fileobj.close()
        self._child.closed = True

    def wait(self) -> int:
        """Wait for the program without reading its output; return its exit code.

        A signal's exit code is negative.
        """
        self._child.wait()
        if self._child.signalstatus is not None:
            return -int(self._child.signalstatus)
        return int(self._child.exitstatus)

    def end(self) -> int:
        """Read until the program ends; return its exit code, negative for a signal."""
        while self._read():
            pass
        return self.wait()

    def _read(self, timeout: float | None = None) -> bool:
        """Read new output; return False at the end, or after `timeout` seconds without output."""
        try:
            data = self._child.read_nonblocking(65536, timeout=timeout or TIMEOUT)
            self.written += data
            self._lines = None
            self._stream.feed(data)
        except pexpect.EOF:
            return False
        except pexpect.TIMEOUT:
            if timeout:
                return False
            raise AssertionError(f"nothing more after:\n{self.text}") from None
        return True


def sign_in(monkeypatch: pytest.MonkeyPatch, simulator: Simulator) -> None:
    """Point the settings at the simulator, and set a token for it."""
    monkeypatch.setenv("COPILOT_PROXY_GITHUB_URL", simulator.url)
    monkeypatch.setenv("COPILOT_PROXY_GITHUB_API_URL", simulator.url)
    monkeypatch.setenv("COPILOT_PROXY_GITHUB_TOKEN", SIMULATED_TOKEN)


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until(holds: Callable[[], bool]) -> None:
    """Poll `holds` until it returns true, for conditions that no event signals."""
    never = threading.Event()
    end = time.monotonic() + TIMEOUT
    while not holds():
        assert time.monotonic() < end
        never.wait(0.02)


class _Ready(logging.Handler):
    """Set `shown` when the log contains the banner."""

    def __init__(self) -> None:
        super().__init__()
        self.shown = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        if getattr(record, "fields", {}).get("event") == "ready":
            self.shown.set()


def serve_while(use: Callable[[httpx.Client], None], *flags: str, uds: Path | None = None) -> int:
    """Run ``serve`` in this thread until `use` returns in another; then press Ctrl+C.

    Listens on a port, or on the Unix socket `uds`. Returns the exit code.
    """
    port = free_port()
    where = ["--uds", str(uds)] if uds else ["--port", str(port)]
    ended = threading.Event()
    failures: list[BaseException] = []
    banner = _Ready()

    def work() -> None:
        banner.shown.wait()
        if ended.is_set():
            return
        try:
            with client_of(uds or port) as client:
                client.get("/health")  # answered once all startup messages are logged
                for handler in logging.getLogger().handlers:
                    handler.flush()
                use(client)
        except BaseException as failure:
            failures.append(failure)
        if not ended.is_set():
            os.kill(os.getpid(), signal.SIGINT)

    worker = threading.Thread(target=work)
    worker.start()
    logger = logging.getLogger("copilot_proxy.cli.lifecycle_messages")
    logger.addHandler(banner)
    # If `use` has stopped the server, a second SIGINT may arrive after `run` has returned.
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        code = run(["serve", *where, *flags])
    finally:
        logger.removeHandler(banner)
        ended.set()
        banner.shown.set()
        worker.join()
        signal.signal(signal.SIGINT, before)
    if failures:
        raise failures[0]
    return code


def client_of(where: Path | int) -> httpx.Client:
    """Return a plain HTTP client for the server on a Unix socket or a port."""
    uds, host = (str(where), "localhost") if isinstance(where, Path) else (None, "127.0.0.1")
    return httpx.Client(
        base_url=f"http://{host}" if uds else f"http://{host}:{where}",
        timeout=TIMEOUT,
        transport=httpx.HTTPTransport(uds=uds, verify=NO_TLS),
    )


def question(text: str, *, model: str = "claude-sonnet-4.5", **more: object) -> dict[str, object]:
    """Return a chat completions request."""
    return {"model": model, "messages": [{"role": "user", "content": text}], **more}
