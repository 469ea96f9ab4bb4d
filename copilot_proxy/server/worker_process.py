"""A worker process as its server sees it: started, listened to, told to end, and ended."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

import copilot_proxy
from copilot_proxy.auth.threads import run_in_thread
from copilot_proxy.server.worker_channel import Start, packed
from copilot_proxy.settings import ENVIRONMENT_PREFIX

_LAST: Final = 5.0
"""Seconds that a process has to end after it has said its last."""
_ROOT: Final = Path(copilot_proxy.__file__).parent.parent


def command() -> list[str]:
    """The program that a worker is."""
    # -P: a folder that happens to be the current one is no place to load modules from, unless this
    # program itself was found there.
    flags = [] if _is_started_in(_ROOT) else ["-P"]
    return [sys.executable, *flags, "-m", "copilot_proxy.cli.worker"]


def _is_started_in(folder: Path) -> bool:
    try:
        return Path.cwd() == folder
    except OSError:
        return False  # the current folder has been removed


class WorkerProcess:
    """One worker. `is_ready` when it serves; `finishing` and `cut` are the numbers of its open
    answers when it began to end and when it cut them, None before that."""

    def __init__(
        self,
        process: "subprocess.Popen[bytes]",
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.id = process.pid
        self.is_ready = False
        self.is_alive = True
        self.finishing: int | None = None
        self.cut: int | None = None
        self._process = process
        self._reader = reader
        self._writer = writer

    @classmethod
    async def start(cls, program: Sequence[str], start: Start) -> Self:
        """A new process of `program`. Raises `OSError` if the system has no room for it."""
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                process = _spawn(
                    [*program, str(theirs.fileno())], (theirs.fileno(), start.listener)
                )
            except OSError:
                ours.close()
                raise
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        writer.write(packed(start))
        return cls(process, reader, writer)

    async def follow(self, told: Callable[[], None]) -> int:
        """Listens until the process has ended, and calls `told` at everything it says, and in the
        end. The exit code, negative for a signal."""
        try:
            with suppress(ConnectionError):
                async for line in self._reader:
                    self._note(line)
                    told()
        finally:
            self._writer.close()
        ended = asyncio.ensure_future(run_in_thread(self._process.wait))
        if not (await asyncio.wait({ended}, timeout=_LAST))[0]:
            self.kill()
        code = await ended
        self.is_alive = False
        told()
        return code

    def finish(self) -> None:
        """Tells it to finish what is open; one that has not begun has nothing to finish."""
        if self.is_ready:
            self._order(b"finish\n")
        else:
            self.kill()

    def cut_open(self) -> None:
        """Tells it to wait no longer."""
        self._order(b"cut\n")

    def _order(self, line: bytes) -> None:
        # One that had nothing open has ended already, and closed its side.
        if not self._writer.is_closing():
            self._writer.write(line)

    def kill(self) -> None:
        """Ends it, whatever it does."""
        self._process.kill()

    def _note(self, line: bytes) -> None:
        event, _, count = line.partition(b" ")
        if event == b"ready":
            self.is_ready = True
        elif event == b"finishing":
            self.finishing = int(count)
        elif event == b"cut":
            self.cut = int(count)


def _spawn(program: Sequence[str], descriptors: Sequence[int]) -> "subprocess.Popen[bytes]":
    # Whatever was set by these variables comes with the start; two of them hold secrets.
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith(ENVIRONMENT_PREFIX)
    }
    # A Ctrl+C goes to all processes of a terminal. It is held back until the worker can ignore it,
    # and it comes through here as soon as this block is left.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGHUP))
    try:
        return subprocess.Popen(  # noqa: S603  # this very program
            program, stdin=subprocess.DEVNULL, env=environ, pass_fds=descriptors
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
