"""WebSockets (RFC 6455) for uvicorn: text messages, without extensions."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING

from uvicorn import Config
from uvicorn.server import ServerState

from .types import Json

if TYPE_CHECKING:
    from .call import Scope

MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA
MAX_SIZE = 16 * 1024 * 1024
"""Maximum size of a message in bytes; larger messages close the connection."""
NORMAL, PROTOCOL_ERROR, TOO_BIG = 1000, 1002, 1009


class SocketClosed(Exception):
    """The connection has ended."""


class FrameError(Exception):
    """The client violated the protocol; `code` is the reason for closing the connection."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Frames:
    """Assembles the frames of a client into messages."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._parts = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield (opcode, payload) for each complete message and control frame.

        Raises `FrameError` for a frame that is not masked, or a message that is too long.
        """
        self._data += data
        while (frame := self._next()) is not None:
            final, opcode, payload = frame
            if opcode >= CLOSE:
                yield opcode, payload
                continue
            self._parts += payload
            if len(self._parts) > MAX_SIZE:
                raise FrameError(TOO_BIG)
            if final:
                message, self._parts = bytes(self._parts), bytearray()
                yield TEXT, message

    def _next(self) -> tuple[bool, int, bytes] | None:
        """Remove a frame from `_data`, and return (whether it ends a message, opcode, payload).

        Returns None if the frame is incomplete.
        """
        data = self._data
        if len(data) < 2:
            return None
        size, start = data[1] & 0x7F, 2
        if not data[1] & 0x80:
            raise FrameError(PROTOCOL_ERROR)
        if size >= 126:
            start = 4 if size == 126 else 10
            if len(data) < start:
                return None
            size = int.from_bytes(data[2:start])
        if size > MAX_SIZE:
            raise FrameError(TOO_BIG)
        if len(data) < start + 4 + size:
            return None
        mask, masked = data[start : start + 4], data[start + 4 : start + 4 + size]
        repeated = (bytes(mask) * (size // 4 + 1))[:size]
        payload = (int.from_bytes(masked) ^ int.from_bytes(repeated)).to_bytes(size)
        found = (bool(data[0] & 0x80), data[0] & 0x0F, payload)
        del data[: start + 4 + size]
        return found


def frame(opcode: int, payload: bytes) -> bytes:
    """Return a frame as sent by a server: unfragmented and unmasked."""
    head = bytes([0x80 | opcode])
    size = len(payload)
    if size < 126:
        return head + bytes([size]) + payload
    if size < 1 << 16:
        return head + struct.pack("!BH", 126, size) + payload
    return head + struct.pack("!BQ", 127, size) + payload


class WebSocket(asyncio.Protocol):
    """A connection after an upgrade request; the application's method ``socket`` serves it."""

    transport: asyncio.Transport

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: Json,
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._serve = config.app.socket  # type: ignore[union-attr]  # it is an `Application`
        self._state = server_state
        self._head = bytearray()
        self._frames = Frames()
        self._messages: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._begun = False
        self.closed = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take over the connection from the HTTP protocol."""
        self.transport = transport  # type: ignore[assignment]
        self._state.connections.add(self)  # type: ignore[arg-type]

    def connection_lost(self, exc: Exception | None) -> None:
        """End the stream of messages."""
        self._state.connections.discard(self)
        self.closed.set()
        self._messages.put_nowait(None)

    def shutdown(self) -> None:
        """Close the connection when the server stops."""
        self.transport.close()

    def data_received(self, data: bytes) -> None:
        """Read the request, then frames."""
        if not self._begun:
            self._head += data
            head, end, data = bytes(self._head).partition(b"\r\n\r\n")
            if not end:
                return
            self._begun = True
            task = asyncio.get_running_loop().create_task(self._serve(_scope(head), self))
            self._state.tasks.add(task)
            task.add_done_callback(self._state.tasks.discard)
        try:
            for opcode, payload in self._frames.feed(data):
                self._received(opcode, payload)
        except FrameError as error:
            self.close(error.code)

    def _received(self, opcode: int, payload: bytes) -> None:
        if opcode == TEXT:
            self._messages.put_nowait(payload)
        elif opcode == PING:
            self.transport.write(frame(PONG, payload))
        elif opcode == CLOSE:
            self.close()

    async def receive(self) -> bytes:
        """Return the next message. Raises `SocketClosed` if the connection ends first."""
        message = await self._messages.get()
        if message is None:
            raise SocketClosed
        return message

    def accept(self, key: str, headers: dict[str, str]) -> None:
        """Accept the upgrade."""
        digest = hashlib.sha1(key.encode() + MAGIC, usedforsecurity=False).digest()
        accepted = {
            "upgrade": "websocket",
            "connection": "Upgrade",
            "sec-websocket-accept": base64.b64encode(digest).decode(),
        }
        self.respond("101 Switching Protocols", {**accepted, **headers}, b"")

    def respond(self, status: str, headers: dict[str, str], body: bytes) -> None:
        """Send an HTTP response; `status` is a code and its phrase."""
        lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers.items())]
        self.transport.write("\r\n".join([*lines, "", ""]).encode() + body)

    def send(self, text: bytes) -> None:
        """Send a text message."""
        if self.closed.is_set():
            raise SocketClosed
        self.transport.write(frame(TEXT, text))

    def close(self, code: int = NORMAL) -> None:
        """Send a close frame and close the connection."""
        self.transport.write(frame(CLOSE, struct.pack("!H", code)))
        self.transport.close()


def _scope(head: bytes) -> Scope:
    """Return the ASGI scope for the head of a request."""
    first, *lines = head.split(b"\r\n")
    method, target, _ = first.split(b" ", 2)
    path, _, query = target.partition(b"?")
    pairs = [line.partition(b":") for line in lines]
    return {
        "method": method.decode(),
        "path": path.decode(),
        "raw_path": path,
        "query_string": query,
        "headers": [(name.lower(), value.strip()) for name, _, value in pairs],
    }
