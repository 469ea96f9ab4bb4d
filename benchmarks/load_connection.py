"""The load client's HTTP: kept-alive connections, and answers that are checked as they arrive."""

import asyncio
import re
import time
from array import array
from typing import Final, cast
from urllib.parse import urlsplit

import httptools

from benchmarks.marks import MARK, is_right

_ENDS: Final = re.compile(rb"data: \[DONE\]|response\.completed|message_stop")
_SHOWN: Final = 200


class Answer:
    """An answer, its times (nanoseconds of CLOCK_MONOTONIC), and what was wrong with it."""

    def __init__(self, number: int, count: int | None) -> None:
        """Expect a stream of `count` marks; if it is None, a whole answer with mark `number`."""
        self.number = number
        self.sent = 0
        self.first = 0
        """When the first mark arrived."""
        self.ended = 0
        self.status = 0
        self.problem: str | None = None
        self.transits = array("q")
        """Nanoseconds from when the upstream sent each mark until it arrived here."""
        self.seen = 0
        self.done = asyncio.get_running_loop().create_future()
        self.enough: asyncio.Event | None = None
        """Set at the first mark, for a client that disconnects then."""
        self._count = count
        self._buffer = b""
        self._is_ended = False

    def feed(self, data: bytes, now: int) -> None:
        """Check a part of the body, which arrived at `now`."""
        if self._count is None:
            self._buffer += data
            return
        data = self._buffer + data
        end = 0
        for found in MARK.finditer(data):
            end = found.end()
            groups = found.group(1, 2, 3)
            # The Responses API repeats the whole text after the last mark.
            if not is_right(self.seen % self._count, groups):
                self.problem = self.problem or f"at {self.seen}: {found[0]!r}"
            self.seen += 1
            if self.seen <= self._count and (sent := int(groups[1])):
                self.transits.append(now - sent)
        if end and not self.first:
            self.first = now
            if self.enough is not None:
                self.enough.set()
        if self.seen >= self._count and _ENDS.search(data):
            self._is_ended = True
        # A mark may be split anywhere.
        self._buffer = data[end:]

    def complete(self, status: int) -> None:
        """Record that the body is complete."""
        self.ended = time.monotonic_ns()
        self.status = status
        self.problem = self.problem or self._check()
        self._finish()

    def broken(self) -> None:
        """Record that the connection was lost before the end."""
        self.problem = self.problem or f"connection lost after {self.seen} marks"
        self._finish()

    def _finish(self) -> None:
        if self.enough is not None:
            self.enough.set()
        if not self.done.done():
            self.done.set_result(None)

    def _check(self) -> str | None:
        if self.status != 200:
            return f"status {self.status}: {self._buffer[:_SHOWN]!r}"
        if self._count is None:
            found = MARK.findall(self._buffer)
            right = len(found) == 1 and is_right(self.number, found[0])
            return None if right else f"another answer: {self._buffer[:_SHOWN]!r}"
        if not self.seen or self.seen % self._count:
            return f"{self.seen} of {self._count} marks: {self._buffer[-_SHOWN:]!r}"
        return None if self._is_ended else f"no end: {self._buffer[-_SHOWN:]!r}"


class Connection(asyncio.Protocol):
    """A connection that handles one answer at a time."""

    def __init__(self) -> None:
        self._answer: Answer | None = None
        self._status = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not subclasses of asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        self._parser = httptools.HttpResponseParser(self)

    def data_received(self, data: bytes) -> None:
        self._now = time.monotonic_ns()
        self._parser.feed_data(data)

    def connection_lost(self, error: Exception | None) -> None:
        self._end(None)

    def eof_received(self) -> None:
        return

    def on_body(self, body: bytes) -> None:
        if self._answer is not None:
            self._answer.feed(body, self._now)

    def on_message_complete(self) -> None:
        self._end(self._parser.get_status_code())

    def ask(self, request: bytes, answer: Answer) -> Answer:
        """Send `request`; `answer.done` is resolved when the answer has arrived."""
        self._answer = answer
        self._parser = httptools.HttpResponseParser(self)
        answer.sent = time.monotonic_ns()
        self._transport.write(request)
        return answer

    def leave(self) -> int:
        """Abort the connection; return the time in nanoseconds."""
        self._answer = None
        now = time.monotonic_ns()
        self._transport.abort()
        return now

    def close(self) -> None:
        """Close the idle connection."""
        self._transport.close()

    @property
    def is_open(self) -> bool:
        """Whether another request can be sent."""
        return not self._transport.is_closing()

    def _end(self, status: int | None) -> None:
        answer, self._answer = self._answer, None
        if answer is None:
            return
        if status is None:
            answer.broken()
        else:
            answer.complete(status)


async def connect(url: str) -> Connection:
    """Return a new connection to the server at `url`."""
    parts = urlsplit(url)
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(Connection, parts.hostname or "", parts.port or 80)
    return connection
