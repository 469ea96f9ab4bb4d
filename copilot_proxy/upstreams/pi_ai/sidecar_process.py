"""A run of the sidecar process, which exchanges JSON lines for many concurrent requests.

Each exchange has flow control: the process may only send as many messages as its window allows, and
the window is enlarged as messages are read. The process's stderr is logged with secrets masked.
"""

import asyncio
import contextlib
import logging
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from copilot_proxy.errors import BrokenResponse, CopilotProxyError, RequestError
from copilot_proxy.formats.large_json import encode_json
from copilot_proxy.formats.types import Json
from copilot_proxy.large_work import run_if_large
from copilot_proxy.masking import mask

log = logging.getLogger(__name__)

WINDOW: Final = 128
"""Maximum number of unread messages of an exchange."""
_MAX_LINE: Final = 32 * 1024 * 1024
_MAX_LOG_LINE: Final = 2000
_MAX_MISSED_PINGS: Final = 2
"""The process is killed after more than this number of consecutive pings without any message from
it."""
_EXIT_TIMEOUT: Final = 3.0
"""Seconds for the process to exit on its own."""


class SidecarMessage(msgspec.Struct, omit_defaults=True):
    """A line from the process; it belongs to an exchange if it has an `id`.

    See `sidecar.mjs` for the protocol.
    """

    id: int = 0
    ready: bool = False
    damaged: bool = False
    head: Json | None = None
    refused: Json | None = None
    whole: Json | None = None
    unreachable: Json | None = None
    event: msgspec.Raw = msgspec.Raw(b"")
    end: bool = False


@dataclass(frozen=True)
class SidecarCommand:
    """The command that starts the process; `environ` is its complete environment.

    `repair_hint` is shown if the process reports that its files are damaged.
    """

    arguments: Sequence[str]
    environ: Mapping[str, str]
    repair_hint: str = ""


class SidecarExchange:
    """A request to the process, and the messages received for it."""

    def __init__(self, process: "SidecarProcess", id: int) -> None:
        self.id = id
        self.ended = False
        """Whether all messages have been read, and the process has finished the exchange."""
        self._process = process
        self._messages: list[SidecarMessage] = []
        self._error: CopilotProxyError | None = None
        self._is_complete = False
        self._changed = asyncio.Event()
        self._read_count = 0

    def put(self, message: SidecarMessage) -> None:
        """Store a message until it is read. Any message after one with `end` set is ignored."""
        if not self._is_complete:
            self._is_complete = message.end
            self._messages.append(message)
            self._changed.set()

    def fail(self, error: CopilotProxyError) -> None:
        """Set the error to raise once all messages have been read."""
        self._error = error
        self._changed.set()

    @property
    def waiting(self) -> int:
        """The number of unread messages."""
        return len(self._messages)

    async def read(self) -> list[SidecarMessage]:
        """Return all unread messages, at least one, or [] at the end.

        Raises `BrokenResponse` if the process died.
        """
        while not self._messages and not self.ended:
            if self._error is not None:
                self.ended = True
                raise self._error
            self._changed.clear()
            await self._changed.wait()
        messages, self._messages = self._messages, []
        if messages and messages[-1].end:
            messages.pop()
            self.ended = True
        self._enlarge_window(len(messages))
        return messages

    def _enlarge_window(self, count: int) -> None:
        self._read_count += count
        if self._read_count >= WINDOW // 2 and not self.ended:
            self._process.write({"more": self.id, "window": self._read_count})
            self._read_count = 0


class SidecarProcess:
    """A process, from its start to its exit."""

    def __init__(
        self, name: str, process: asyncio.subprocess.Process, ping_interval: float
    ) -> None:
        self.process = process
        self.exchanges: dict[int, SidecarExchange] = {}
        self.ready = asyncio.Event()
        """Set when the process is ready, or has died."""
        self.is_alive = True
        self.damaged = False
        """Whether the process has reported that its files are missing or damaged."""
        self._name = name
        self._received_message = True
        self._ping_interval = ping_interval
        self._tasks = [
            asyncio.create_task(self._listen()),
            asyncio.create_task(self._log()),
            asyncio.create_task(self._ping()),
        ]

    @classmethod
    async def start(
        cls, name: str, command: SidecarCommand, ping_interval: float
    ) -> "SidecarProcess":
        """Start the process. Raises `OSError`."""
        own_group: dict[str, Any] = (
            # Ctrl+C must only reach the server, which waits for open requests.
            {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}
            if sys.platform == "win32"
            else {"start_new_session": True}
        )
        process = await asyncio.create_subprocess_exec(
            *command.arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(command.environ),
            limit=_MAX_LINE,
            **own_group,
        )
        return cls(name, process, ping_interval)

    def write(self, message: Mapping[str, Any]) -> None:
        """Send a short message without waiting; does nothing if the process has died."""
        self._write(msgspec.json.encode(message))

    def _write(self, line: bytes) -> None:
        stdin = self.process.stdin
        if self.is_alive and stdin is not None and not stdin.is_closing():
            stdin.writelines((line, b"\n"))

    async def send(self, message: Mapping[str, Any], size: int) -> None:
        """Send a message of about `size` bytes, and wait until the pipe can accept more.

        If the process has died, the next read raises the error. Raises `RequestError` for a message
        that cannot be encoded.
        """
        try:
            self._write(await run_if_large(size, encode_json, message, size))
        except RecursionError:
            raise RequestError("The body is nested too deeply.") from None
        if self.process.stdin is not None:
            with contextlib.suppress(ConnectionError):
                await self.process.stdin.drain()

    async def aclose(self) -> None:
        """Stop the process, and kill it if it does not exit in time."""
        if self.is_alive:
            self.is_alive = False
            self._fail_exchanges("was stopped")
        if self.process.stdin is not None:
            self.process.stdin.close()
        exit_ = asyncio.ensure_future(self.process.wait())
        # In Python 3.11.2, asyncio.timeout raises no TimeoutError in a task that was cancelled
        # before. This task was cancelled if the client disconnected while the process was starting.
        await asyncio.wait([exit_], timeout=_EXIT_TIMEOUT)
        if not exit_.done():
            self._kill()
        await exit_
        await asyncio.wait(self._tasks[:2], timeout=_EXIT_TIMEOUT)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _listen(self) -> None:
        assert self.process.stdout is not None  # noqa: S101  # started with a pipe
        decoder = msgspec.json.Decoder(SidecarMessage)
        reason = "exited"
        try:
            while line := await self.process.stdout.readline():
                self._received_message = True
                self._handle(decoder.decode(line))
        except (ValueError, msgspec.DecodeError):
            # A line is too long or not a message, so the lines after it cannot be trusted.
            reason = "sent an invalid message"
        self._died(reason)

    def _handle(self, message: SidecarMessage) -> None:
        if message.ready:
            self.ready.set()
        elif message.damaged:
            self.damaged = True
        elif message.id and (exchange := self.exchanges.get(message.id)) is not None:
            exchange.put(message)

    async def _log(self) -> None:
        assert self.process.stderr is not None  # noqa: S101  # started with a pipe
        while True:
            try:
                line = await self.process.stderr.readline()
            except ValueError:
                continue  # the line is too long
            if not line:
                return
            if text := mask(line.decode("utf-8", "replace").strip()):
                log.warning("%s: %s", self._name, text[:_MAX_LOG_LINE])

    async def _ping(self) -> None:
        # This counts missed pings rather than seconds, so that the sidecar has a chance to answer
        # after this process was suspended, for example because the machine slept.
        missed = 0
        while self.is_alive:
            await asyncio.sleep(self._ping_interval)
            if not self.ready.is_set():
                continue
            missed = 0 if self._received_message else missed + 1
            if missed > _MAX_MISSED_PINGS:
                self._died("stopped responding")
            self._received_message = False
            self.write({"ping": 1})

    def _died(self, reason: str) -> None:
        if not self.is_alive:
            return
        self.is_alive = False
        self.ready.set()
        self._kill()
        log.warning("The %s process %s; open requests: %d", self._name, reason, len(self.exchanges))
        self._fail_exchanges(reason)

    def _fail_exchanges(self, reason: str) -> None:
        for exchange in self.exchanges.values():
            exchange.fail(
                BrokenResponse(
                    f"The {self._name} process {reason} in the middle of the answer.",
                    hint="Try again: the process will be restarted. The answer may be incomplete.",
                )
            )

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
