"""One run of a child process that is spoken to in JSON lines, many exchanges at once.

An exchange is read no faster than its reader wants: the child may send as many messages as it has
credit for. What the child writes to stderr goes into the log, masked.
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
from copilot_proxy.masking import mask

log = logging.getLogger(__name__)

CREDIT: Final = 128
"""Messages of one exchange that may be on their way."""
_LONGEST_LINE: Final = 32 * 1024 * 1024
_LONGEST_WORDS: Final = 2000
_MOST_MISSED: Final = 2
"""Pings in a row without a word."""
_END: Final = 3.0
"""Seconds that it may take to end by itself."""

Json = dict[str, Any]


class Message(msgspec.Struct, omit_defaults=True):
    """A line of the child's: about an exchange, if it has an `id`."""

    id: int = 0
    ready: bool = False
    unfit: bool = False
    pong: int = 0
    head: Json | None = None
    refused: Json | None = None
    whole: Json | None = None
    unreachable: Json | None = None
    event: msgspec.Raw = msgspec.Raw(b"")
    end: bool = False


@dataclass(frozen=True)
class Command:
    """What to run; `environ` is all that the child sees of the environment, and `repair` the hint
    if it says that its own files are unfit."""

    arguments: Sequence[str]
    environ: Mapping[str, str]
    repair: str = ""


class SidecarExchange:
    """One request to the child, and what came back so far."""

    def __init__(self, child: "SidecarProcess", id: int) -> None:
        self.id = id
        self.ended = False
        """Whether all has been read, and the child knows of it no more."""
        self._child = child
        self._messages: list[Message] = []
        self._failure: CopilotProxyError | None = None
        self._is_complete = False
        self._news = asyncio.Event()
        self._taken = 0

    def put(self, message: Message) -> None:
        """Keeps a message until it is read; after the last one there are none."""
        if not self._is_complete:
            self._is_complete = message.end
            self._messages.append(message)
            self._news.set()

    def fail(self, error: CopilotProxyError) -> None:
        """To be raised when all that is here has been read."""
        self._failure = error
        self._news.set()

    @property
    def waiting(self) -> int:
        """How many messages are here and not read."""
        return len(self._messages)

    async def read(self) -> list[Message]:
        """At least one message, and all that are here; none at the end.

        Raises `BrokenResponse` if the process died.
        """
        while not self._messages and not self.ended:
            if self._failure is not None:
                self.ended = True
                raise self._failure
            self._news.clear()
            await self._news.wait()
        told, self._messages = self._messages, []
        if told and told[-1].end:
            told.pop()
            self.ended = True
        self._give_back(len(told))
        return told

    def _give_back(self, count: int) -> None:
        self._taken += count
        if self._taken >= CREDIT // 2 and not self.ended:
            self._child.write({"more": self.id, "credit": self._taken})
            self._taken = 0


class SidecarProcess:
    """One process, from its start to its end."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, ping_every: float) -> None:
        self.process = process
        self.exchanges: dict[int, SidecarExchange] = {}
        self.ready = asyncio.Event()
        """Set when it is, and when it never will be."""
        self.lives = True
        self.unfit = False
        """Whether it said that it will never be ready."""
        self._name = name
        self._heard = True
        self._ping_every = ping_every
        self._tasks = [
            asyncio.create_task(self._listen()),
            asyncio.create_task(self._log()),
            asyncio.create_task(self._ping()),
        ]

    @classmethod
    async def start(cls, name: str, command: Command, ping_every: float) -> "SidecarProcess":
        own_group: dict[str, Any] = (
            # A Ctrl+C is for the server alone, which lets open answers end.
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
            limit=_LONGEST_LINE,
            **own_group,
        )
        return cls(name, process, ping_every)

    def write(self, message: Mapping[str, Any]) -> None:
        """Sends a short message, if there is still somebody to read it."""
        stdin = self.process.stdin
        if self.lives and stdin is not None and not stdin.is_closing():
            stdin.write(msgspec.json.encode(message) + b"\n")

    async def say(self, message: Mapping[str, Any]) -> None:
        """Sends a message, and waits until there is room for more. That the child is gone is
        learned by reading. Raises `RequestError` for what cannot be written as JSON."""
        try:
            self.write(message)
        except RecursionError:
            raise RequestError("The body is nested too deeply.") from None
        if self.process.stdin is not None:
            with contextlib.suppress(ConnectionError):
                await self.process.stdin.drain()

    async def aclose(self) -> None:
        """Lets it end by itself, and then makes it."""
        if self.lives:
            self.lives = False
            self._tell("was ended")
        if self.process.stdin is not None:
            self.process.stdin.close()
        try:
            async with asyncio.timeout(_END):
                await self.process.wait()
        except TimeoutError:
            self._kill()
            await self.process.wait()
        await asyncio.wait(self._tasks[:2], timeout=_END)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _listen(self) -> None:
        assert self.process.stdout is not None  # noqa: S101  # it was asked for
        decoder = msgspec.json.Decoder(Message)
        reason = "ended"
        try:
            while line := await self.process.stdout.readline():
                self._heard = True
                self._take(decoder.decode(line))
        except (ValueError, msgspec.DecodeError):
            # A line that is too long, or none of ours: what follows cannot be told apart.
            reason = "sent what is not understood"
        self._died(reason)

    def _take(self, message: Message) -> None:
        if message.ready:
            self.ready.set()
        elif message.unfit:
            self.unfit = True
        elif message.id and (exchange := self.exchanges.get(message.id)) is not None:
            exchange.put(message)

    async def _log(self) -> None:
        assert self.process.stderr is not None  # noqa: S101  # it was asked for
        while True:
            try:
                line = await self.process.stderr.readline()
            except ValueError:
                continue  # too long for anybody to read
            if not line:
                return
            if words := mask(line.decode("utf-8", "replace").strip()):
                log.warning("%s: %s", self._name, words[:_LONGEST_WORDS])

    async def _ping(self) -> None:
        # Pings are counted, not seconds: after this process itself was stopped for a while, as on a
        # machine that slept, the child has a chance to answer.
        missed = 0
        while self.lives:
            await asyncio.sleep(self._ping_every)
            if not self.ready.is_set():
                continue
            missed = 0 if self._heard else missed + 1
            if missed > _MOST_MISSED:
                self._died("stopped responding")
            self._heard = False
            self.write({"ping": 1})

    def _died(self, reason: str) -> None:
        if not self.lives:
            return
        self.lives = False
        self.ready.set()
        self._kill()
        log.warning("The %s process %s; open answers: %d", self._name, reason, len(self.exchanges))
        self._tell(reason)

    def _tell(self, reason: str) -> None:
        for exchange in self.exchanges.values():
            exchange.fail(
                BrokenResponse(
                    f"The {self._name} process {reason} in the middle of the answer.",
                    hint="What came so far may be incomplete. Try again: it starts anew.",
                )
            )

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
