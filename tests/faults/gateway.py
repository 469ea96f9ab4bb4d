"""A byte-level server in front of the simulator, which breaks connections as a test specifies.

All other bytes pass through it unchanged. The gateway also counts the requests and connections that
reach Copilot, and tracks open connections.
"""

import asyncio
import re
import socket
import ssl
import struct
import threading
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

from tests.servers import close

HOST: Final = "127.0.0.1"
MODEL_PATHS: Final = ("/chat/completions", "/responses", "/v1/messages", "/embeddings")
_PIECE: Final = 256 * 1024


class Gone(Exception):
    """The connection was closed."""


@dataclass(frozen=True)
class Request:
    """A request as it arrived."""

    path: str
    raw: bytes


@dataclass(frozen=True)
class Good:
    """The simulator's answer to a request."""

    status: str
    headers: list[tuple[str, str]]
    """The headers, except those about the framing of the body."""
    body: bytes

    @property
    def head(self) -> bytes:
        """Return the status line and headers, without the blank line, so headers can be added."""
        lines = [f"HTTP/1.1 {self.status}", *(f"{name}: {value}" for name, value in self.headers)]
        return ("\r\n".join(lines) + "\r\n").encode()

    @property
    def events(self) -> list[bytes]:
        """Return the events of a stream, or a whole answer in two pieces."""
        if b"\n\n" in self.body:
            return [event + b"\n\n" for event in self.body.split(b"\n\n") if event]
        half = len(self.body) // 2
        return [self.body[:half], self.body[half:]]


class Line:
    """A connection whose request is answered with a fault."""

    def __init__(
        self,
        gateway: "Gateway",
        request: Request,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._gateway = gateway
        self._reader = reader
        self._writer = writer
        self.request = request

    async def good(self) -> Good:
        """Return the simulator's answer to the request."""
        self._gateway.good = await self._gateway.fetch(self.request)
        return self._gateway.good

    async def write(self, *pieces: bytes) -> None:
        """Send each piece separately."""
        for piece in pieces:
            self._writer.write(piece)
            await self._writer.drain()
            await asyncio.sleep(0)

    async def stall(self) -> None:
        """Send nothing until the client disconnects."""
        await self._reader.read()
        raise Gone

    def close(self) -> None:
        """Close the connection normally; what was written still arrives."""
        raise Gone

    def reset(self) -> None:
        """Break the connection (TCP RST)."""
        reset(self._writer)
        raise Gone


def reset(writer: asyncio.StreamWriter) -> None:
    """Break a connection: with a linger time of zero, the kernel sends RST instead of FIN."""
    with suppress(OSError):
        connection: socket.socket = writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


Script = Callable[[Line], Awaitable[None]]


class Gateway:
    """Listens on `url`, with TLS if there are `contexts`.

    While `script` is set, the script answers every request to a model. `handshake` determines how
    new connections are treated: ``good`` or another key of `contexts`, ``plain``, ``reset`` or
    ``stall``. With `resets_early`, a connection is reset as soon as the head of a request to a
    model has arrived.
    """

    def __init__(
        self,
        upstream: str,
        *,
        name: str = HOST,
        contexts: Mapping[str, ssl.SSLContext] | None = None,
    ) -> None:
        self._upstream = urlsplit(upstream).port
        self._contexts = contexts or {}
        self._name = name
        self.script: Script | None = None
        self.handshake = "good"
        self.resets_early = False
        self.posts: list[str] = []
        """The paths of all requests to models that were read completely."""
        self.connects = 0
        self.good: Good | None = None
        """The answer that the last script used."""
        self.open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    def __enter__(self) -> Self:
        ready = threading.Event()
        self._thread = threading.Thread(target=asyncio.run, args=(self._serve(ready),), daemon=True)
        self._thread.start()
        assert ready.wait(60)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._leave.set)
        self._thread.join(60)
        assert not self._thread.is_alive()

    @property
    def url(self) -> str:
        """The URL of the Copilot API for the server under test."""
        return f"{'https' if self._contexts else 'http'}://{self._name}:{self.port}"

    def refuse(self) -> None:
        """Stop listening, and close idle connections."""
        self._wait_for(self._close())

    def listen(self) -> None:
        """Listen again on the same port."""
        self._wait_for(self._listen(self.port))

    def hang_up(self, *, broken: bool = False) -> None:
        """Close open connections, as a server does with idle ones; reset them if `broken`."""
        self._wait_for(self._hang_up(broken=broken))

    def _wait_for(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    async def _serve(self, ready: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._leave = asyncio.Event()
        await self._listen(0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        ready.set()
        await self._leave.wait()
        await self._close()

    async def _listen(self, port: int) -> None:
        self._server = await asyncio.start_server(self._accept, HOST, port)

    async def _close(self) -> None:
        await close(self._server)
        await self._hang_up()

    async def _hang_up(self, *, broken: bool = False) -> None:
        tasks = list(self.open)
        for task in tasks:
            if broken:
                reset(self.open[task])
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connects += 1
        task = asyncio.current_task()
        assert task is not None
        self.open[task] = writer
        try:
            await self._start_connection(reader, writer)
            await self._talk(reader, writer)
        except (Gone, asyncio.IncompleteReadError, OSError, asyncio.CancelledError):
            pass
        finally:
            del self.open[task]
            writer.close()

    async def _start_connection(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if self.handshake == "reset":
            reset(writer)
            raise Gone
        if self.handshake == "stall":
            await reader.read()
            raise Gone
        if self.handshake == "plain":
            writer.write(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n")
            raise Gone
        if self._contexts:
            await writer.start_tls(self._contexts[self.handshake])

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward requests to the simulator, or answer them with the script."""
        onward: asyncio.StreamWriter | None = None
        back: asyncio.Task[None] | None = None
        try:
            while True:
                request = await self._read_request(reader, writer)
                if request.path in MODEL_PATHS:
                    self.posts.append(request.path)
                    if self.script is not None:
                        await self.script(Line(self, request, reader, writer))
                        continue
                if onward is None:
                    answers, onward = await asyncio.open_connection(HOST, self._upstream)
                    back = asyncio.create_task(_pump(answers, writer))
                onward.write(request.raw)
        finally:
            if onward is not None:
                onward.close()
            if back is not None:
                back.cancel()

    async def _read_request(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> Request:
        head = await reader.readuntil(b"\r\n\r\n")
        path = head.split(b" ")[1].decode()
        if self.resets_early and path in MODEL_PATHS:
            reset(writer)
            raise Gone
        length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
        body = await reader.readexactly(int(length[1])) if length else b""
        return Request(path, head + body)

    async def fetch(self, request: Request) -> Good:
        """Return the simulator's whole answer to a request."""
        reader, writer = await asyncio.open_connection(HOST, self._upstream)
        try:
            writer.write(request.raw.replace(b"\r\n", b"\r\nconnection: close\r\n", 1))
            head = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
            body = await reader.read()
        finally:
            writer.close()
        status = head[0].partition(" ")[2]
        headers = [
            (n.lower(), v.strip()) for n, _, v in (line.partition(":") for line in head[1:-1])
        ]
        if ("transfer-encoding", "chunked") in headers:
            body = _unchunked(body)
        framing = ("transfer-encoding", "content-length", "connection")
        return Good(status, [header for header in headers if header[0] not in framing], body)


async def _pump(answers: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Forward answers, and close the connection as the simulator did."""
    try:
        while piece := await answers.read(_PIECE):
            writer.write(piece)
            await writer.drain()
        writer.close()
    except OSError:
        reset(writer)


def _unchunked(data: bytes) -> bytes:
    body = b""
    while data:
        size, _, data = data.partition(b"\r\n")
        length = int(size, 16)
        body, data = body + data[:length], data[length + 2 :]
    return body
