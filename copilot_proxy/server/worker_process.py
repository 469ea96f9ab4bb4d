"""A worker process as seen by the supervisor, which starts, watches and stops it."""

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
from copilot_proxy.daemon_threads import run_in_thread
from copilot_proxy.server.worker_channel import WorkerConfig, encode_config
from copilot_proxy.settings import ENVIRONMENT_PREFIX

_EXIT_TIMEOUT: Final = 5.0
"""Seconds for a process to exit after it has closed its channel."""
_ROOT: Final = Path(copilot_proxy.__file__).parent.parent


def worker_command() -> list[str]:
    """Return the command line that starts a worker; the caller adds the channel's file
    descriptor."""
    return python_command("copilot_proxy.cli.worker")


def python_command(module: str) -> list[str]:
    """Return the command line that runs a module of this package; callers add the arguments."""
    # -P keeps Python from importing modules from the current folder. It is left out if this package
    # itself was imported from there.
    flags = [] if _is_started_in(_ROOT) else ["-P"]
    return [sys.executable, *flags, "-m", module]


def _is_started_in(folder: Path) -> bool:
    try:
        return Path.cwd() == folder
    except OSError:
        return False  # the current folder has been removed


class WorkerProcess:
    """A worker process.

    `is_ready` is true once it serves. `finishing` is the number of requests that were open when it
    started to shut down, and `cut` the number of requests that it cut off; both are None before
    that.
    """

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
    async def start(cls, program: Sequence[str], config: WorkerConfig) -> Self:
        """Start `program` as a new process. Raises `OSError` if the system cannot start it."""
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                process = _spawn(
                    [*program, str(theirs.fileno())], (theirs.fileno(), *config.listeners)
                )
            except OSError:
                ours.close()
                raise
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        writer.write(encode_config(config))
        return cls(process, reader, writer)

    async def follow(self, on_event: Callable[[], None]) -> int:
        """Read events until the process has exited, and return its exit code, which is negative if
        a signal ended it.

        `on_event` is called after each event, and when the process has exited.
        """
        try:
            with suppress(ConnectionError):
                async for line in self._reader:
                    self._handle_event(line)
                    on_event()
        finally:
            self._writer.close()
        ended = asyncio.ensure_future(run_in_thread(self._process.wait))
        if not (await asyncio.wait({ended}, timeout=_EXIT_TIMEOUT))[0]:
            self.kill()
        code = await ended
        self.is_alive = False
        on_event()
        return code

    def finish(self) -> None:
        """Tell the worker to finish its open requests and exit, even if it is still starting."""
        self._send_command(b"finish\n")

    def cut_requests(self) -> None:
        """Tell the worker to stop waiting for open requests."""
        self._send_command(b"cut\n")

    def _send_command(self, line: bytes) -> None:
        # A worker without open requests has already exited and closed its side.
        if not self._writer.is_closing():
            self._writer.write(line)

    def kill(self) -> None:
        """Kill the process."""
        self._process.kill()

    def _handle_event(self, line: bytes) -> None:
        event, _, count = line.partition(b" ")
        if event == b"ready":
            self.is_ready = True
        elif event == b"finishing":
            self.finishing = int(count)
        elif event == b"cut":
            self.cut = int(count)


def _spawn(program: Sequence[str], descriptors: Sequence[int]) -> "subprocess.Popen[bytes]":
    # The worker receives its settings in `WorkerConfig`; it does not inherit our variables, some of
    # which contain secrets.
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith(ENVIRONMENT_PREFIX)
    }
    # Ctrl+C signals all processes of a terminal. The worker starts with these signals blocked, and
    # ignores them before it unblocks them; this process receives them when they are unblocked
    # below.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGHUP))
    try:
        return subprocess.Popen(  # noqa: S603  # it runs this package
            program, stdin=subprocess.DEVNULL, env=environ, pass_fds=descriptors
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
