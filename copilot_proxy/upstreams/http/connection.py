"""One connection of HTTP/1.1: a request goes out whole, its answer comes in piece by piece.

The parser is httptools', the one that uvicorn reads requests with (RFC 9112).
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final, cast

import httptools
import httpx

_LAST_LOOK: Final = 0.05
"""Seconds in which what lies there already is read, before the other side is called silent: this
program may have stood still itself, stopped or asleep."""

_LONGEST_HEAD: Final = 256 * 1024
"""Bytes of an answer's headers that are taken."""
_MOST_JOINED: Final = 16 * 1024
"""Bytes of a body that leaves in one piece with its head: as much as TLS encrypts at once."""
_MOST_UNREAD: Final = 256 * 1024
"""Bytes of an answer that wait for their reader before the other side has to wait, too."""


class HttpExchange:
    """A request that was sent over `connection`, and its answer as it comes; raises
    `httpx.TransportError`.

    `patience` is how many seconds the other side may neither say anything nor take any of the
    request while somebody waits for it.
    """

    def __init__(self, connection: "HttpConnection", patience: float | None) -> None:
        self._connection = connection
        self._patience = patience
        self._was_unsent = connection.unsent()
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        """When patience ends, by the loop's clock."""
        self._is_last_look = False
        self.status = 0
        self.headers: dict[str, str] = {}
        self.has_head = False
        self.is_complete = False
        self.unread = 0
        self._pieces: list[bytes] = []
        self._error: httpx.TransportError | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._loop = asyncio.get_running_loop()

    async def head(self) -> None:
        """Waits until `status` and `headers` are there."""
        while not self.has_head:
            await self._news()

    async def read(self) -> bytes:
        """All that has come since the last time, or will come next; empty at the end."""
        while not self._pieces and not self.is_complete:
            await self._news()
        piece = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        self.unread = 0
        if self._connection.is_paused:
            self._connection.go_on(self)
        return piece

    async def aclose(self) -> None:
        """Hangs up, unless the answer is complete."""
        self._connection.leave(self)

    def add(self, piece: bytes) -> None:
        """A piece of the body has come."""
        self._pieces.append(piece)
        self.unread += len(piece)

    def complete(self) -> None:
        """Nothing of it is missing."""
        self.is_complete = True
        self._end()

    def fail(self, error: httpx.TransportError) -> None:
        """No more will come."""
        self._error = self._error or error
        self._end()

    def wake(self) -> None:
        """Something has changed."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self.wake()

    def _news(self) -> "asyncio.Future[None]":
        """What is done when something has changed."""
        if self._error is not None:
            raise self._error
        self._waiter = self._loop.create_future()
        if self._patience is not None:
            self._due = self._loop.time() + self._patience
            self._is_last_look = False
            if self._timer is None:
                self._timer = self._loop.call_at(self._due, self._look)
        return self._waiter

    def _look(self) -> None:
        """Whether patience has come to its end. One timer looks after all the waits, which are
        shorter as a rule than setting one for each would be worth."""
        self._timer = None
        if self._waiter is None or self._waiter.done():
            return
        now = self._loop.time()
        if now >= self._due:
            before, self._was_unsent = self._was_unsent, self._connection.unsent()
            if self._was_unsent < before:
                self._due = now + (self._patience or 0.0)
                self._is_last_look = False
            elif not self._is_last_look:
                self._due = now + _LAST_LOOK
                self._is_last_look = True
            else:
                self.fail(httpx.ReadTimeout(""))
                return
        self._timer = self._loop.call_at(self._due, self._look)


class HttpConnection(asyncio.Protocol):
    """To one host; `on_free` is called when it may take the next request, `on_end` when it has
    closed."""

    def __init__(
        self,
        on_free: Callable[["HttpConnection"], None],
        on_end: Callable[["HttpConnection"], None],
    ) -> None:
        self._on_free = on_free
        self._on_end = on_end
        self._parser = httptools.HttpResponseParser(self)
        self._exchange: HttpExchange | None = None
        self._transport: asyncio.Transport
        self.is_paused = False
        """Whether the other side has to wait for the reader."""
        self._ends_with_connection = False
        self._head_size = 0
        self.free_since = (0.0, 0.0)
        """By the clock that stands still while the machine sleeps, and by the one that does not."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name

    @property
    def is_open(self) -> bool:
        """Whether nobody has closed it, as far as is known here."""
        return not self._transport.is_closing()

    def fileno(self) -> int:
        """The number of its socket."""
        number: int = self._transport.get_extra_info("socket").fileno()
        return number

    def unsent(self) -> int:
        """How many bytes the other side has not taken."""
        return self._transport.get_write_buffer_size()

    def send(self, head: bytes, body: bytes, patience: float | None) -> HttpExchange:
        """Sends a request; the connection must be free. Raises `httpx.ConnectError` if it has been
        closed, so that nothing was sent."""
        if not self.is_open:
            raise httpx.ConnectError("the connection was closed before anything was sent")
        self._head_size = 0
        if len(body) > _MOST_JOINED:
            self._transport.writelines((head, body))
        else:
            self._transport.write(head + body)
        self._exchange = HttpExchange(self, patience)
        return self._exchange

    def go_on(self, exchange: HttpExchange) -> None:
        """The reader has taken what there was of `exchange`."""
        if exchange is self._exchange:
            self._resume()

    def leave(self, exchange: HttpExchange) -> None:
        """Nobody wants the rest of `exchange`: hangs up, unless the connection is done with it and
        may be another's by now."""
        if exchange is self._exchange:
            self.abort()

    def abort(self) -> None:
        """Closes it at once, whatever is under way."""
        self._fail(httpx.ReadError("the connection was closed here"))

    def data_received(self, data: bytes) -> None:
        exchange = self._exchange
        if exchange is None:
            # Nobody asked: what comes would be taken for the answer to the next request.
            self._transport.abort()
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(httpx.RemoteProtocolError(f"not HTTP: {error}"))
            return
        if not exchange.has_head:
            self._head_size += len(data)
            if self._head_size > _LONGEST_HEAD:
                self._fail(httpx.RemoteProtocolError("endless headers"))
            return
        exchange.wake()
        if exchange.unread > _MOST_UNREAD and not (exchange.is_complete or self.is_paused):
            self.is_paused = True
            self._transport.pause_reading()

    def eof_received(self) -> None:
        self._ended(None)

    def connection_lost(self, error: Exception | None) -> None:
        self._ended(error)
        self._on_end(self)

    def _ended(self, error: Exception | None) -> None:
        exchange = self._exchange
        if exchange is None:
            return
        if exchange.has_head and self._ends_with_connection and error is None:
            self._exchange = None
            exchange.complete()
        else:
            self._fail(httpx.ReadError(str(error or "the connection was closed")))

    def _fail(self, error: httpx.TransportError) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.fail(error)
        self._transport.abort()

    def _resume(self) -> None:
        if self.is_paused:
            self.is_paused = False
            self._transport.resume_reading()

    # What the parser calls.

    def on_message_begin(self) -> None:
        if self._exchange is None:
            self._transport.abort()  # nobody asked for a second answer

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._exchange is not None and not self._exchange.has_head:  # else it is a trailer
            headers, key = self._exchange.headers, name.decode("latin-1").lower()
            text = value.decode("latin-1")
            headers[key] = f"{headers[key]}, {text}" if key in headers else text

    def on_headers_complete(self) -> None:
        exchange = self._exchange
        if exchange is None:
            return
        exchange.status = self._parser.get_status_code()
        if exchange.status < 200:
            # Early hints and the like: the answer itself comes after them.
            exchange.headers.clear()
            return
        exchange.has_head = True
        has_length = "content-length" in exchange.headers
        self._ends_with_connection = not (has_length or "transfer-encoding" in exchange.headers)

    def on_body(self, body: bytes) -> None:
        if self._exchange is not None:
            self._exchange.add(body)

    def on_message_complete(self) -> None:
        exchange = self._exchange
        if exchange is None or not exchange.has_head:
            return
        # Now, since the parser may object to what comes after it in the same piece.
        exchange.complete()
        self._exchange = None
        self._resume()
        can_stay = self._parser.should_keep_alive() and not self._ends_with_connection
        # An answer may come before its request has left; the rest would precede the next one.
        if can_stay and not self.unsent():
            self.free_since = (time.monotonic(), time.time())
            self._on_free(self)
        else:
            self._transport.abort()
