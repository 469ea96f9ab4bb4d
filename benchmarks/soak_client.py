"""A client with manners of all sorts: it sends slowly, reads slowly, or leaves in the middle."""

import asyncio
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import httptools

_PATIENCE: Final = 60.0
_SMALL: Final = 4096
"""Bytes of buffer of a client that reads slowly, so that the server has to wait for it."""


@dataclass(frozen=True)
class Manners:
    """How a client behaves. Sizes are bytes, pauses seconds."""

    send_size: int = 1 << 20
    send_pause: float = 0.0
    read_size: int = 1 << 16
    read_pause: float = 0.0
    leave_after: int | None = None
    """It goes away when it has read so much of the body."""


POLITE: Final = Manners()


@dataclass
class Got:
    """What came back."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    left: bool = False
    complete: bool = False
    keeps_open: bool = True

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode().lower()] = value.decode()

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.complete = True


@dataclass
class _Line:
    """One connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


class Client:
    """Asks one server; keeps connections as programs do."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._idle: list[_Line] = []

    async def ask(
        self,
        method: str,
        path: str,
        body: bytes,
        headers: Mapping[str, str],
        manners: Manners = POLITE,
    ) -> Got:
        """The answer as far as it was read; raises OSError when there is none."""
        got = Got()
        try:
            async with asyncio.timeout(_PATIENCE):
                is_slow = manners.read_pause > 0
                request = _request(f"{self._host}:{self._port}", method, path, headers, len(body))
                while self._idle and not is_slow:
                    if await self._on(self._idle.pop(), request, body, manners, got, stale=True):
                        return got
                line = await self._connect(small=is_slow)
                await self._on(line, request, body, manners, got)
                return got
        except TimeoutError as error:
            raise TimeoutError(f"status {got.status}, {got.body[-200:]!r}") from error

    def close(self) -> None:
        """Closes what is idle."""
        while self._idle:
            self._idle.pop().writer.close()

    async def _connect(self, *, small: bool) -> _Line:
        own = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        own.setblocking(False)
        if small:
            own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL)
        try:
            await asyncio.get_running_loop().sock_connect(own, (self._host, self._port))
        except OSError:
            own.close()
            raise
        limit = _SMALL if small else 1 << 16
        return _Line(*await asyncio.open_connection(sock=own, limit=limit))

    async def _on(
        self,
        line: _Line,
        request: bytes,
        body: bytes,
        manners: Manners,
        got: Got,
        *,
        stale: bool = False,
    ) -> bool:
        """Gets the answer on one connection; False if that is `stale` and had been closed."""
        try:
            line.writer.write(request)
            reading = asyncio.create_task(_read(line.reader, got, manners))
            try:
                has_sent_all = await _send(line.writer, body, manners, reading)
                await reading
                # The next request would be taken for the rest of this one's body.
                got.keeps_open &= has_sent_all
            finally:
                reading.cancel()
        except OSError:
            if not got.complete and not (stale and not got.status):
                raise
        finally:
            reusable = got.complete and got.keeps_open and not line.writer.is_closing()
            if reusable and not self._idle:
                self._idle.append(line)
            else:
                line.writer.transport.abort()
        got.keeps_open = True
        return not stale or got.status > 0


def _request(host: str, method: str, path: str, headers: Mapping[str, str], length: int) -> bytes:
    """The head of a request."""
    head = [f"{method} {path} HTTP/1.1", f"host: {host}"]
    head += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*head, f"content-length: {length}", "", ""]).encode()


async def _send(
    writer: asyncio.StreamWriter, body: bytes, manners: Manners, reading: "asyncio.Task[None]"
) -> bool:
    """Sends the body, unless the answer comes before it is out; whether all of it was sent."""
    for start in range(0, len(body), manners.send_size):
        if reading.done():
            return False
        writer.write(body[start : start + manners.send_size])
        if manners.send_pause:
            await asyncio.sleep(manners.send_pause)
    return True


async def _read(reader: asyncio.StreamReader, got: Got, manners: Manners) -> None:
    parser = httptools.HttpResponseParser(got)
    while not got.complete:
        data = await reader.read(manners.read_size)
        if not data:
            got.keeps_open = False
            return
        parser.feed_data(data)
        got.status = parser.get_status_code() if got.headers else 0
        got.keeps_open = got.headers.get("connection", "").lower() != "close"
        if manners.leave_after is not None and len(got.body) >= manners.leave_after:
            got.left = not got.complete
            got.keeps_open = got.complete
            return
        if manners.read_pause:
            await asyncio.sleep(manners.read_pause)
