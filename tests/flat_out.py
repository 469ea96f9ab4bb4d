"""A minimal Copilot API for load tests, which sends the given streams as fast as possible.

The simulator is accurate but slow; this API only streams, counts, and can be slowed down.
"""

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.conftest import RECORDINGS
from tests.servers import ThreadedServer, close

Pieces = Callable[[int], str | None]
"""Returns the text of the piece with this number, or None at the end of the stream."""


@dataclass
class Stream:
    """The server side of a stream."""

    name: str
    written: int = 0
    ended: threading.Event = field(default_factory=threading.Event)
    writer: asyncio.StreamWriter | None = field(default=None, repr=False)

    @property
    def taken(self) -> int:
        """The number of bytes that the client or the system's buffers have accepted."""
        assert self.writer is not None
        return self.written - self.writer.transport.get_write_buffer_size()


class FlatOut(ThreadedServer):
    """Runs in a thread.

    `pieces` returns the pieces of a stream by its name, which is the user's text. With `together`,
    that many streams start simultaneously and stay in step, piece by piece.
    """

    def __init__(self, pieces: Callable[[str], Pieces], together: int = 0) -> None:
        super().__init__()
        self._pieces = pieces
        self._together = together
        self.streams: dict[str, Stream] = {}

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        """Serve while the context is open; yield the port."""
        self._barrier = asyncio.Barrier(self._together) if self._together else None
        self._answering: set[asyncio.Task[None]] = set()
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1024)
        for listener in server.sockets:
            # Data in this system's send buffer has not reached the client, so the buffer is small.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * 1024)
        yield server.sockets[0].getsockname()[1]
        await close(server)
        for task in self._answering:
            task.cancel()
        await asyncio.gather(*self._answering, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._answering.add(task)
        try:
            await self._answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._answering.discard(task)
            writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        if head.startswith(b"get /models"):
            body = (RECORDINGS / "models.json").read_bytes()
            writer.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n"
                b"content-length: %d\r\n\r\n%b" % (len(body), body)
            )
            await writer.drain()
            return
        size = int(head.partition(b"content-length: ")[2].partition(b"\r")[0])
        asked = json.loads(await reader.readexactly(size))
        stream = Stream(asked["messages"][-1]["content"], writer=writer)
        self.streams[stream.name] = stream
        try:
            await self._stream(stream, writer)
        finally:
            stream.ended.set()

    async def _stream(self, stream: Stream, writer: asyncio.StreamWriter) -> None:
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
        )
        piece_of = self._pieces(stream.name)
        number = 0
        while (text := piece_of(number)) is not None:
            if self._barrier is not None:
                await self._barrier.wait()
            self._write(stream, writer, {"delta": {"content": text}})
            await writer.drain()
            number += 1
        self._write(stream, writer, {"delta": {}, "finish_reason": "stop"})
        writer.write(b"data: [DONE]\n\n")
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    def _write(self, stream: Stream, writer: asyncio.StreamWriter, choice: dict[str, Any]) -> None:
        chunk = {
            "id": f"chatcmpl-{stream.name}",
            "created": 1,
            "model": "gpt-4o",
            "choices": [{"index": 0, "finish_reason": None, **choice}],
        }
        data = b"data: " + json.dumps(chunk).encode() + b"\n\n"
        stream.written += len(data)
        writer.write(data)
