"""An HTTP/1.1 connection (RFC 9112): sends complete requests and streams their responses.

Uses httptools for parsing, as uvicorn does for requests.
"""

import asyncio
import select
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, TypeVar, cast

import httptools
import httpx

from copilot_proxy.upstreams.http.request_writer import write_request
from copilot_proxy.upstreams.http.timed_waiter import TimedWaiter, WaitTimer

_MAX_HEAD: Final = 256 * 1024
"""Maximum size in bytes of the headers of a response."""
_MAX_UNREAD: Final = 256 * 1024
"""The number of unread bytes of a response above which reading from the socket is paused."""

_Result = TypeVar("_Result")


class HttpExchange(TimedWaiter[Any]):
    """A request sent over `connection`, and its response; methods raise `httpx.TransportError`.

    The response fails if the server neither sends anything nor reads any part of the request for
    `timeout` seconds.
    """

    def __init__(self, connection: "HttpConnection", timeout: float | None) -> None:
        super().__init__(connection.timer, timeout, connection.unsent)
        self._connection = connection
        self.status = 0
        self.headers: dict[str, str] = {}
        self.has_head = False
        self.is_complete = False
        self.chunks: list[bytes] = []
        """The unread chunks of the body."""
        self.unread = 0
        """The size of the unread chunks in bytes."""
        self._process: Callable[[bytes], object] | None = None
        """The `process` argument of the waiting `receive` call, if any."""

    async def head(self) -> None:
        """Wait for `status` and `headers`."""
        while not self.has_head:
            await self.change()

    async def read(self) -> bytes:
        """Return all unread bytes of the body, at least one, or b"" at the end."""
        while not self.chunks and not self.is_complete:
            await self.change()
        return self._take_unread()

    async def receive(self, process: Callable[[bytes], _Result | None]) -> _Result | None:
        """Call `process` with the bytes of the body as they arrive, until it returns a result.

        Returns the result, or None if the body ends first. While this waits, the connection itself
        calls `process`, because waking up a task for each event of a stream takes about as long as
        translating the event.
        """
        while self.chunks or not self.is_complete:
            if self.chunks:
                result = process(self._take_unread())
            else:
                self._process = process
                try:
                    result = await self.change()
                finally:
                    self._process = None
            if result is not None:
                return result
        return None

    async def aclose(self) -> None:
        """Close the connection, unless the response is complete."""
        self._connection.release(self)

    def complete(self) -> None:
        """Mark the response as complete."""
        self.is_complete = True
        self.wake()

    def wake(self) -> None:
        """Wake up the reader after a change. If it is waiting in `receive`, process new bytes here,
        and wake it up only if `receive` must return or fail."""
        waiter = self.waiter
        if waiter is None or waiter.done():
            return
        result = None
        if self._process is not None and self.chunks:
            try:
                result = self._process(self._take_unread())
            except Exception as error:
                waiter.set_exception(error)
                return
            if result is None and not self.is_complete and self.error is None:
                self.last_change = self.now()
                return
        waiter.set_result(result)

    def _take_unread(self) -> bytes:
        chunks = self.chunks
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        self.unread = 0
        if self._connection.is_paused:
            self._connection.resume(self)
        return data


class HttpConnection(asyncio.Protocol):
    """A connection to one host.

    `on_idle` is called when the connection is ready for the next request, and `on_close` when it
    has closed.
    """

    def __init__(
        self,
        on_idle: Callable[["HttpConnection"], None],
        on_close: Callable[["HttpConnection"], None],
    ) -> None:
        self._on_idle = on_idle
        self._on_close = on_close
        self._parser = httptools.HttpResponseParser(self)
        self._exchange: HttpExchange | None = None
        self._transport: asyncio.Transport
        self._under: asyncio.Transport | None = None
        """The transport below TLS."""
        self.timer = WaitTimer()
        self._poll: select.poll | None = None
        self.is_paused = False
        """Whether reading from the socket is paused."""
        self._ends_with_connection = False
        self._head_size = 0
        self.idle_since = (0.0, 0.0)
        """When the connection became idle, by the monotonic clock and by the wall clock. The
        monotonic clock may stop while the machine sleeps."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop has another base class

    def encrypted(self, transport: asyncio.Transport, under: asyncio.Transport) -> None:
        """Switch to `transport`, which has completed a TLS handshake and sends through `under`."""
        self._transport, self._under = transport, under

    @property
    def is_open(self) -> bool:
        """Whether the event loop still considers the connection open."""
        return not self._transport.is_closing()

    def fileno(self) -> int:
        """Return the file descriptor of the socket."""
        number: int = self._transport.get_extra_info("socket").fileno()
        return number

    def is_readable(self) -> bool:
        """Return whether the socket is readable. On an idle connection, this means that the server
        has closed it."""
        if not hasattr(select, "poll"):
            return bool(select.select([self.fileno()], [], [], 0)[0])
        if self._poll is None:
            self._poll = select.poll()
            self._poll.register(self.fileno(), select.POLLIN)
        return bool(self._poll.poll(0))

    def unsent(self) -> int:
        """Return the number of bytes that have not been sent yet."""
        size = self._transport.get_write_buffer_size()
        # With TLS, most of the bytes have been encrypted and are waiting in the transport below.
        return size + (self._under.get_write_buffer_size() if self._under is not None else 0)

    def send(self, head: bytes, body: bytes, timeout: float | None) -> HttpExchange:
        """Send a request over the connection, which must be idle.

        Raises `httpx.ConnectError`, without sending anything, if the connection is closed.
        """
        if not self.is_open:
            raise httpx.ConnectError("the connection was closed before anything was sent")
        self._head_size = 0
        write_request(self._transport, head, body)
        self._exchange = HttpExchange(self, timeout)
        return self._exchange

    def resume(self, exchange: HttpExchange) -> None:
        """Resume reading, after all bytes of `exchange` have been read."""
        if exchange is self._exchange:
            self._resume()

    def release(self, exchange: HttpExchange) -> None:
        """Close the connection, unless `exchange` is complete: another request may then be using
        it."""
        if exchange is self._exchange:
            self.abort()

    def abort(self) -> None:
        """Close the connection immediately."""
        self._fail(httpx.ReadError("the connection was closed by this side"))

    def data_received(self, data: bytes) -> None:
        exchange = self._exchange
        if exchange is None:
            # Unexpected data would be mistaken for the response to the next request.
            self._transport.abort()
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(httpx.RemoteProtocolError(f"invalid HTTP: {error}"))
            return
        if not exchange.has_head:
            self._head_size += len(data)
            if self._head_size > _MAX_HEAD:
                self._fail(httpx.RemoteProtocolError("the headers are too large"))
            return
        exchange.wake()
        if exchange.unread > _MAX_UNREAD and not (exchange.is_complete or self.is_paused):
            self.is_paused = True
            self._transport.pause_reading()

    def eof_received(self) -> None:
        self._ended(None)

    def connection_lost(self, error: Exception | None) -> None:
        self.timer.cancel()
        self._ended(error)
        self._on_close(self)

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

    # Parser callbacks.

    def on_message_begin(self) -> None:
        if self._exchange is None:
            self._transport.abort()  # a response without a request

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._exchange is not None and not self._exchange.has_head:  # otherwise it is a trailer
            headers, key = self._exchange.headers, _header_name(name)
            text = value.decode("latin-1")
            headers[key] = f"{headers[key]}, {text}" if key in headers else text

    def on_headers_complete(self) -> None:
        exchange = self._exchange
        if exchange is None:
            return
        exchange.status = self._parser.get_status_code()
        if exchange.status < 200:
            # This is an informational response, such as early hints; the final response follows.
            exchange.headers.clear()
            return
        exchange.has_head = True
        has_length = "content-length" in exchange.headers
        self._ends_with_connection = not (has_length or "transfer-encoding" in exchange.headers)

    def on_body(self, body: bytes) -> None:
        exchange = self._exchange
        if exchange is not None:
            exchange.chunks.append(body)
            exchange.unread += len(body)

    def on_message_complete(self) -> None:
        exchange = self._exchange
        if exchange is None or not exchange.has_head:
            return
        # Complete the exchange now, because the parser may fail on later data in the same chunk.
        exchange.complete()
        self._exchange = None
        self._resume()
        can_stay = self._parser.should_keep_alive() and not self._ends_with_connection
        # The response may arrive before the request has been sent completely. In that case, the
        # connection cannot be reused, because the remaining bytes would precede the next request.
        if can_stay and not self.unsent():
            self.become_idle()
        else:
            self._transport.abort()

    def become_idle(self) -> None:
        """Prepare for the next request or, on a new connection, for the first one."""
        self.idle_since = (time.monotonic(), time.time())
        self._on_idle(self)


@lru_cache(maxsize=256)  # servers always send the same few names
def _header_name(name: bytes) -> str:
    return name.decode("latin-1").lower()
