"""uvicorn's HTTP protocol with timeouts and size limits for slow or hostile clients.

uvicorn itself has no timeouts for request heads, for bodies that the application does not read to
the end, or for clients that do not read their responses. Any client that can connect could exploit
that, even without an API key. (For bodies that the application reads, the timeout is in
`routes.request_body`.)
"""

import asyncio
import contextlib
import socket
from collections import deque
from typing import Any, Final
from urllib.parse import unquote

import httptools

from copilot_proxy.asgi import BODY, BODY_WRITER, DISCONNECT, Disconnect
from copilot_proxy.errors import RequestError
from copilot_proxy.server import malformed_requests
from copilot_proxy.server.half_closed import HalfClosedProbe
from copilot_proxy.server.lingering_transport import LingeringTransport
from copilot_proxy.server.request_parsing import TolerantProtocol
from copilot_proxy.server.response_cycle import AnyLength, ResponseCycle

MAX_HEAD_SIZE: Final = 512 * 1024
"""Maximum size of a request head in bytes. It exceeds the size of a single network read, which may
also contain part of the body."""
_MAX_PIPELINED: Final = 8
"""How many requests on a connection may queue behind the current one before reading is paused."""
_MAX_UNSENT: Final = 128 * 1024
"""Maximum unsent bytes that the system buffers for a client; some systems default to 4 MiB."""


class BoundedProtocol(TolerantProtocol):
    """uvicorn's protocol with two timeouts, in seconds.

    `receive_timeout` applies to a request head, and to the rest of a body that has not arrived when
    the response has been sent. `send_timeout` applies to a client that does not read its response.
    A connection has at most one timer for each. When a timer fires, it checks whether it still
    applies, so timers do not have to be created and cancelled for every request.
    """

    def __init__(
        self, *args: Any, receive_timeout: float, send_timeout: float, **more: Any
    ) -> None:
        super().__init__(*args, **more)
        self._receive_timeout = receive_timeout
        self._send_timeout = send_timeout
        self._answering: Any = None
        """The request that is being answered; uvicorn's `cycle` is the most recently read one."""
        self._just_begun: ResponseCycle | None = None
        """The request whose head is in the data that is being parsed."""
        self._is_in_head = True
        """True while a head is being read, and between requests."""
        self._head_size = 0
        """How many bytes of the head have been received."""
        self._is_tls = False
        self._receive_started = 0.0
        """When the receive timeout started."""
        self._send_paused = 0.0
        self._receive_timer: asyncio.TimerHandle | None = None
        self._send_timer: asyncio.TimerHandle | None = None
        self._probe: HalfClosedProbe | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        _limit_send_buffer(transport.get_extra_info("socket"))
        self._start_receive_timeout()

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._receive_timer, self._send_timer, self._probe):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)
        # uvicorn notifies only the most recently read request, but others may be unfinished as
        # well.
        waiting, self.pipeline = self.pipeline, deque()
        for cycle in (self._answering, *(cycle for cycle, _ in waiting)):
            if cycle is not None and not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()
                cycle.scope["state"].pop(BODY_WRITER, None)
                cycle.scope["state"].pop(BODY, None)  # `receive` reports the disconnect
                cycle.scope["state"][DISCONNECT].happen()

    def eof_received(self) -> bool:  # type: ignore[override]  # uvicorn's returns nothing
        """Return whether to keep the connection open to answer a client that has stopped sending.

        The client may have disconnected entirely. The connection is closed if no request is open,
        or if the answer to the open request has begun. Otherwise, a GET request is answered, even
        if that takes a while because the framework must be loaded. Any other request may cost
        something, so it ends if the client has stopped reading.
        """
        cycle = self._answering
        if cycle is None or cycle.response_started or self.pipeline or self.scheme == "https":
            return False
        cycle.keep_alive = False
        if cycle.scope["method"] == "GET":
            return True
        if cycle.more_body or cycle.scope["http_version"] == "1.0":
            return False  # HTTP/1.0 has no interim responses
        self._probe = HalfClosedProbe(self.loop, self.transport, cycle)
        return True

    def data_received(self, data: bytes) -> None:
        if self._is_in_head:
            self._is_tls = not self._head_size and malformed_requests.is_tls(data)
            self._head_size += len(data)
            if self._head_size > MAX_HEAD_SIZE:
                self._send_error(malformed_requests.too_large(MAX_HEAD_SIZE))
                self.transport.close()
                return
        if self.timeout_keep_alive_task is not None:
            # The connection is no longer idle.
            self._start_receive_timeout()
        super().data_received(data)
        self._just_begun = None

    def on_message_begin(self) -> None:
        # A head that arrived together with the end of another request has not been counted yet.
        self._head_size = self._head_size or 1
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        if self.ignores_upgrade():
            return
        self._is_in_head = False
        self._head_size = 0
        if b"://" in self.url and not self.url.startswith(b"/"):
            self.use_target_host()
        version = self.parser.get_http_version()
        scope: Any = self.scope
        scope["method"] = self.parser.get_method().decode("ascii")
        scope["http_version"] = version
        if self.parser.should_upgrade() and self._should_upgrade():
            return
        if len(self.url) > malformed_requests.MAX_URL:
            raise ValueError("The URL is too long.")  # older parsers truncate it
        url = httptools.parse_url(self.url)
        scope["raw_path"] = url.path
        path = url.path.decode("ascii")
        scope["path"] = unquote(path) if "%" in path else path
        scope["query_string"] = url.query or b""
        before, self.cycle = self.cycle, self._new_cycle(version)
        self._just_begun = self.cycle
        if before is None or before.response_complete:
            self._answering = self.cycle
            self._start_asgi_task(self.cycle, self.app)
            return
        self.pipeline.appendleft((self.cycle, self.app))
        if len(self.pipeline) > _MAX_PIPELINED:
            self.flow.pause_reading()
        else:
            # Otherwise, a client's disconnect would go unnoticed.
            self.flow.resume_reading()

    def _new_cycle(self, version: str) -> ResponseCycle:
        cycle = ResponseCycle(
            scope=self.scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=version != "1.0" and self.parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )
        if not cycle.keep_alive:
            cycle.transport = LingeringTransport(self.transport, cycle)  # type: ignore[assignment]
        self.scope["state"][DISCONNECT] = Disconnect()
        if version == "1.0":
            # HTTP/1.0 clients do not support chunks. uvicorn closes their connections after the
            # response.
            cycle.chunked_encoding = False
            cycle.expected_content_length = AnyLength()
        return cycle

    def handle_websocket_upgrade(self) -> None:
        for timer in (self._receive_timer, self._send_timer):
            if timer is not None:
                timer.cancel()
        super().handle_websocket_upgrade()

    def on_body(self, body: bytes) -> None:
        if self.cycle is not None and not self.cycle.body:
            # uvicorn would copy each chunk to a bytearray, and from there to the application's
            # message.
            self.cycle.body = b""  # type: ignore[assignment]
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self.ignores_upgrade():
            return
        self._is_in_head = True
        super().on_message_complete()
        if not self.pipeline:
            # Reading was paused because of a large body, but a disconnect must be noticed.
            self.flow.resume_reading()
        cycle = self.cycle  # None if the first request opens a WebSocket
        if cycle is not None and cycle is self._just_begun and cycle.body:
            # `receive` has not been called yet, and no longer needs to be.
            cycle.scope["state"][BODY] = cycle.body
        if cycle is not None and cycle.response_complete and not cycle.keep_alive:
            self.transport.close()  # see `LingeringTransport`

    def on_response_complete(self) -> None:
        if self.pipeline and not self.transport.is_closing():
            # uvicorn now starts the request that has waited the longest.
            self._answering, _ = self.pipeline[-1]
        super().on_response_complete()
        if self.transport.is_closing():
            self._start_receive_timeout()
        elif self.timeout_keep_alive_task and (self._head_size or not self._is_in_head):
            # Part of the next head has arrived, or part of an unread body has not arrived yet.
            self.timeout_keep_alive_task.cancel()
            self.timeout_keep_alive_task = None
            self._start_receive_timeout()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._send_paused = self.loop.time()
        if self._send_timer is None:
            self._send_timer = self.loop.call_later(self._send_timeout, self._check_send_timeout)

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection, without waiting for a client that has not read the whole
        response."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            super().timeout_keep_alive_handler()

    def send_400_response(self, msg: str) -> None:
        """Respond to a request that cannot be parsed; `msg` is the parser's message."""
        if len(self.url) > malformed_requests.MAX_URL:
            self._send_error(malformed_requests.url_too_long())
        else:
            is_first = self.cycle is None
            error = malformed_requests.invalid(msg, is_tls=self._is_tls, is_first=is_first)
            self._send_error(error)
        self.transport.close()

    def _send_error(self, error: RequestError) -> None:
        """Send `error` to the client, unless part of another response has been sent."""
        client = self.client[0] if self.client else None
        reason = (malformed_requests.TLS,) if self._is_tls else ()
        response = malformed_requests.response(error, client, *reason)
        has_started = self._answering is not None and self._answering.response_started
        if not has_started or self._answering.response_complete:
            self.transport.write(response)

    def _start_receive_timeout(self) -> None:
        """Restart the receive timeout; the client must now send something."""
        self._receive_started = self.loop.time()
        if self._receive_timer is None:
            self._receive_timer = self.loop.call_later(
                self._receive_timeout, self._check_receive_timeout
            )

    def _check_receive_timeout(self) -> None:
        self._receive_timer = None
        is_answering = self.cycle is not None and not self.cycle.response_complete
        if is_answering or self.timeout_keep_alive_task is not None:
            return
        left = self._receive_started + self._receive_timeout - self.loop.time()
        if left > 0:
            self._receive_timer = self.loop.call_later(left, self._check_receive_timeout)
            return
        if self._is_in_head and self._head_size and not self.transport.is_closing():
            self._send_error(malformed_requests.too_slow())
        self._close()

    def _close(self) -> None:
        """Close the connection; if it is already closing, do not wait for unsent bytes."""
        if self.transport.is_closing():
            self.transport.abort()
        else:
            self.transport.close()
            self._receive_timer = self.loop.call_later(self._receive_timeout, self.transport.abort)

    def _check_send_timeout(self) -> None:
        self._send_timer = None
        if not self.flow.write_paused:
            return
        left = self._send_paused + self._send_timeout - self.loop.time()
        if left > 0:
            self._send_timer = self.loop.call_later(left, self._check_send_timeout)
        else:
            self.transport.abort()


def _limit_send_buffer(connection: socket.socket) -> None:
    """Limit how much the system buffers for a client that does not read its response."""
    is_tcp = connection.family in (socket.AF_INET, socket.AF_INET6)
    if is_tcp and hasattr(socket, "TCP_NOTSENT_LOWAT"):
        with contextlib.suppress(OSError):  # the client has disconnected
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _MAX_UNSENT)
