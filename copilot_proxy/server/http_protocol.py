"""Bounds what a client may make the server wait for, and collect, before and after its requests.

uvicorn's protocol has no end to its patience for a head, for the rest of a body that nobody wants,
and for a client that does not read. All of that is open to whoever can connect, before a key has
been shown. (A body that is wanted is waited for by whoever reads it: `routes.bodies`.)
"""

import asyncio
import contextlib
import socket
from collections import deque
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from copilot_proxy.errors import RequestError
from copilot_proxy.server import malformed_requests
from copilot_proxy.settings import Settings

LIMIT: Final = 512 * 1024
"""Bytes of a head; more than one piece that comes from the network at once, which may hold a body
as well."""
_KEEP_ALIVE: Final = 75
"""Seconds that an idle connection is kept; a client that keeps it longer runs into its end."""
_MOST_WAITING: Final = 8
"""Requests of a connection that wait behind the one that is answered; then it is not read."""
_MOST_UNSENT: Final = 128 * 1024
"""Bytes for a client that the system may take before it can send them; some take 4 MiB for each."""


def server_config(app: Any, settings: Settings) -> uvicorn.Config:
    """How uvicorn is to serve `app`."""
    protocol: Any = partial(
        BoundedProtocol,
        receive_timeout=settings.receive_timeout,
        send_timeout=settings.read_timeout,
    )
    return uvicorn.Config(
        app,
        http=protocol,
        ws="none",
        lifespan="on",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE,
    )


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with an end to its patience.

    `receive_timeout` is for a head, and for the rest of a body when its answer has been given;
    `send_timeout` for a client that takes nothing of its answer. Each connection has at most one
    timer for either, which looks when it fires whether it still matters: a request costs none.
    """

    def __init__(
        self, *args: Any, receive_timeout: float, send_timeout: float, **more: Any
    ) -> None:
        super().__init__(*args, **more)
        self._receive_timeout = receive_timeout
        self._send_timeout = send_timeout
        self._answering: Any = None
        """uvicorn's name for it is `cycle`, which is the one that was read last."""
        self._is_in_head = True
        """Also between two requests."""
        self._head = 0
        """Bytes of it that have come."""
        self._since = 0.0
        """When that began which the client owes us."""
        self._paused_at = 0.0
        self._owed: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        _keep_little(transport.get_extra_info("socket"))
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._owed, self._unread):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)
        # uvicorn tells it to the request that came last, though an earlier one may be answered.
        waiting, self.pipeline = self.pipeline, deque()
        for cycle in (self._answering, *(cycle for cycle, _ in waiting)):
            if cycle is not None and not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()

    def data_received(self, data: bytes) -> None:
        if self._is_in_head:
            self._head += len(data)
            if self._head > LIMIT:
                self._tell(malformed_requests.too_large(LIMIT))
                self.transport.close()
                return
        if self.timeout_keep_alive_task is not None:
            # Whatever it is, the connection does not rest any more.
            self._expect()
        super().data_received(data)

    def on_message_begin(self) -> None:
        # One that came behind the end of another request has not been counted.
        self._head = self._head or 1
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        self._head = 0
        if b"://" in self.url and not self.url.startswith(b"/"):
            self._take_host_of_target()
        super().on_headers_complete()
        if 0 < len(self.pipeline) <= _MOST_WAITING:
            # uvicorn reads no further, and so would not see that the client leaves.
            self.flow.resume_reading()

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        self._answering = cycle
        super()._start_asgi_task(cycle, app)

    def on_message_complete(self) -> None:
        self._is_in_head = True
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self._expect()
        elif not self.pipeline and (self._head or not self._is_in_head):
            # Half of the next head is here, or a body that nobody wanted still has to go by.
            self._unset_keepalive_if_required()
            self._expect()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._paused_at = self.loop.time()
        if self._unread is None:
            self._unread = self.loop.call_later(self._send_timeout, self._look_for_reader)

    def timeout_keep_alive_handler(self) -> None:
        """A client that has not read its answer to the end by now never will."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            super().timeout_keep_alive_handler()

    def send_400_response(self, msg: str) -> None:
        """For what the parser does not understand; `msg` is uvicorn's word for it."""
        self._tell(malformed_requests.invalid())
        self.transport.close()

    def _tell(self, error: RequestError) -> None:
        """Answers a request that is none, unless that would stand in the middle of an answer."""
        told = malformed_requests.answer(error, self.client[0] if self.client else None)
        is_amid = self._answering is not None and self._answering.response_started
        if not is_amid or self._answering.response_complete:
            self.transport.write(told)

    def _expect(self) -> None:
        """From now on the client owes us something."""
        self._since = self.loop.time()
        if self._owed is None:
            self._owed = self.loop.call_later(self._receive_timeout, self._look_for_request)

    def _look_for_request(self) -> None:
        self._owed = None
        is_answering = self.cycle is not None and not self.cycle.response_complete
        if is_answering or self.timeout_keep_alive_task is not None:
            return
        left = self._since + self._receive_timeout - self.loop.time()
        if left > 0:
            self._owed = self.loop.call_later(left, self._look_for_request)
            return
        if self._is_in_head and self._head and not self.transport.is_closing():
            self._tell(malformed_requests.too_slow())
        self._close()

    def _close(self) -> None:
        """Closes the connection; a second time without waiting for a client that does not read."""
        if self.transport.is_closing():
            self.transport.abort()
        else:
            self.transport.close()
            self._owed = self.loop.call_later(self._receive_timeout, self.transport.abort)

    def _look_for_reader(self) -> None:
        self._unread = None
        if not self.flow.write_paused:
            return
        left = self._paused_at + self._send_timeout - self.loop.time()
        if left > 0:
            self._unread = self.loop.call_later(left, self._look_for_reader)
        else:
            self.transport.abort()

    def _take_host_of_target(self) -> None:
        """``GET http://name/path`` asks for `name`, whatever Host says (RFC 9112, 3.2.2)."""
        try:
            name = urlsplit(self.url.decode("latin-1")).netloc.encode("latin-1")
        except ValueError:
            name = b""
        if all(key != b"host" for key, _ in self.headers):
            self.headers.append((b"host", name))
        self.headers[:] = [(key, name if key == b"host" else value) for key, value in self.headers]


def _keep_little(connection: socket.socket) -> None:
    """A client that does not read must not have its answer pile up here."""
    is_tcp = connection.family in (socket.AF_INET, socket.AF_INET6)
    if is_tcp and hasattr(socket, "TCP_NOTSENT_LOWAT"):
        with contextlib.suppress(OSError):  # it has gone already
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _MOST_UNSENT)
