"""A client that can send slowly, read slowly, or disconnect during an answer."""

import asyncio
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import httptools

_TIMEOUT: Final = 60.0
_SMALL_BUFFER: Final = 4096
"""Size in bytes of a slow reader's buffer, so small that the server must wait for the client."""


@dataclass(frozen=True)
class Behavior:
    """How a client behaves. Sizes are in bytes, pauses in seconds."""

    send_size: int = 1 << 20
    send_pause: float = 0.0
    read_size: int = 1 << 16
    read_pause: float = 0.0
    leave_after: int | None = None
    """Disconnect after reading this many bytes of the body."""


NORMAL: Final = Behavior()


@dataclass
class ClientResponse:
    """The part of a response that was read."""

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
class _Connection:
    """A connection to the server."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


class Client:
    """Sends requests to a server; reuses connections as real clients do."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._idle: list[_Connection] = []

    async def ask(
        self,
        method: str,
        path: str,
        body: bytes,
        headers: Mapping[str, str],
        behavior: Behavior = NORMAL,
    ) -> ClientResponse:
        """Send a request; return the part of the response that was read.

        Raises OSError if there is no response, and TimeoutError after `_TIMEOUT` seconds.
        """
        response = ClientResponse()
        try:
            async with asyncio.timeout(_TIMEOUT):
                is_slow = behavior.read_pause > 0
                request = _request(f"{self._host}:{self._port}", method, path, headers, len(body))
                while self._idle and not is_slow:
                    if await self._exchange(
                        self._idle.pop(), request, body, behavior, response, stale=True
                    ):
                        return response
                connection = await self._connect(small=is_slow)
                await self._exchange(connection, request, body, behavior, response)
                return response
        except TimeoutError as error:
            raise TimeoutError(f"status {response.status}, {response.body[-200:]!r}") from error

    def close(self) -> None:
        """Close idle connections."""
        while self._idle:
            self._idle.pop().writer.close()

    async def _connect(self, *, small: bool) -> _Connection:
        own = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        own.setblocking(False)
        if small:
            own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_BUFFER)
        try:
            await asyncio.get_running_loop().sock_connect(own, (self._host, self._port))
        except OSError:
            own.close()
            raise
        limit = _SMALL_BUFFER if small else 1 << 16
        return _Connection(*await asyncio.open_connection(sock=own, limit=limit))

    async def _exchange(
        self,
        connection: _Connection,
        request: bytes,
        body: bytes,
        behavior: Behavior,
        response: ClientResponse,
        *,
        stale: bool = False,
    ) -> bool:
        """Send a request on a connection; return False if it was `stale` and already closed."""
        try:
            connection.writer.write(request)
            reading = asyncio.create_task(_read(connection.reader, response, behavior))
            try:
                has_sent_all = await _send(connection.writer, body, behavior, reading)
                await reading
                # Otherwise, the server would treat the next request as the rest of this one's body.
                response.keeps_open &= has_sent_all
            finally:
                reading.cancel()
        except OSError:
            if not response.complete and not (stale and not response.status):
                raise
        finally:
            reusable = (
                response.complete and response.keeps_open and not connection.writer.is_closing()
            )
            if reusable and not self._idle:
                self._idle.append(connection)
            else:
                connection.writer.transport.abort()
        response.keeps_open = True
        return not stale or response.status > 0


def _request(host: str, method: str, path: str, headers: Mapping[str, str], length: int) -> bytes:
    """Return the request line and headers."""
    head = [f"{method} {path} HTTP/1.1", f"host: {host}"]
    head += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*head, f"content-length: {length}", "", ""]).encode()


async def _send(
    writer: asyncio.StreamWriter, body: bytes, behavior: Behavior, reading: "asyncio.Task[None]"
) -> bool:
    """Send the body; stop early if the response arrives. Return whether the whole body was sent."""
    for start in range(0, len(body), behavior.send_size):
        if reading.done():
            return False
        writer.write(body[start : start + behavior.send_size])
        if behavior.send_pause:
            await asyncio.sleep(behavior.send_pause)
    return True


async def _read(reader: asyncio.StreamReader, response: ClientResponse, behavior: Behavior) -> None:
    parser = httptools.HttpResponseParser(response)
    while not response.complete:
        data = await reader.read(behavior.read_size)
        if not data:
            response.keeps_open = False
            return
        parser.feed_data(data)
        response.status = parser.get_status_code() if response.headers else 0
        response.keeps_open = response.headers.get("connection", "").lower() != "close"
        if behavior.leave_after is not None and len(response.body) >= behavior.leave_after:
            response.left = not response.complete
            response.keeps_open = response.complete
            return
        if behavior.read_pause:
            await asyncio.sleep(behavior.read_pause)
