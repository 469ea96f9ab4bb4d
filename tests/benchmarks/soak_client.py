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
        async with asyncio.timeout(_PATIENCE):
            is_slow = manners.read_pause > 0
            while self._idle and not is_slow:
                line = self._idle.pop()
                got = await self._on(line, method, path, body, headers, manners, stale=True)
                if got is not None:
                    return got
            line = await self._connect(small=is_slow)
            answered = await self._on(line, method, path, body, headers, manners)
            assert answered is not None
            return answered

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
        method: str,
        path: str,
        body: bytes,
        headers: Mapping[str, str],
        manners: Manners,
        *,
        stale: bool = False,
    ) -> Got | None:
        """The answer on one connection; None if that had been closed before, being `stale`."""
        got = Got()
        try:
            head = [f"{method} {path} HTTP/1.1", f"host: {self._host}:{self._port}"]
            head += [f"{name}: {value}" for name, value in headers.items()]
            head += [f"content-length: {len(body)}", "", ""]
            line.writer.write("\r\n".join(head).encode())
            reading = asyncio.create_task(_read(line.reader, got, manners))
            try:
                await _send(line.writer, body, manners, reading)
                await reading
            finally:
                reading.cancel()
        except OSError:
            if not got.status and stale:
                return None
            if not got.complete:
                raise
        finally:
            reusable = got.complete and got.keeps_open and not line.writer.is_closing()
            if reusable and not self._idle:
                self._idle.append(line)
            else:
                line.writer.transport.abort()
        return None if stale and not got.status else got


async def _send(
    writer: asyncio.StreamWriter, body: bytes, manners: Manners, reading: "asyncio.Task[None]"
) -> None:
    """The body, unless the answer has come before it was out."""
    for start in range(0, len(body), manners.send_size):
        if reading.done():
            return
        writer.write(body[start : start + manners.send_size])
        if manners.send_pause:
            await asyncio.sleep(manners.send_pause)


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
