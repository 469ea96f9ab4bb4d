"""A connection pool for the Copilot API, made for many concurrent requests.

httpx's own pool iterates over all its connections for every request, and passes every chunk through
several layers. With 16 clients, that is most of the cost of a request. This pool also reveals
whether a request was sent: a request that fails with `httpx.ConnectError` or `httpx.ConnectTimeout`
was certainly not sent.
"""

import asyncio
import socket
import ssl
import time
from contextlib import suppress
from functools import lru_cache
from typing import Final, NamedTuple

import httpx
from aiohappyeyeballs import start_connection

from copilot_proxy.freed_memory import return_freed_memory
from copilot_proxy.upstreams.http.connection import HttpConnection, HttpExchange
from copilot_proxy.upstreams.http.dns_cache import DnsCache
from copilot_proxy.upstreams.http.transport import HttpRequest

_KEEP_ALIVE: Final = 30.0
"""Seconds for which an idle connection may be reused."""
_SWEEP_INTERVAL: Final = 5.0
"""Seconds between searches for idle connections to close."""
_IDLE_THRESHOLD: Final = 16
"""The number of idle connections above which the oldest are closed sooner; each takes 50 KiB."""
_HAPPY_EYEBALLS_DELAY: Final = 0.25
"""Seconds after which the next address of a host is also tried (RFC 8305)."""
_MIN_BUSY: Final = 2
"""The minimum number of running requests for which a spare connection is kept."""
_SPARE_TIMEOUT: Final = 10.0
"""Maximum seconds for opening a spare connection."""
_TCP_KEEP_ALIVE: Final = (
    ("TCP_KEEPIDLE", 60),
    ("TCP_KEEPALIVE", 60),  # the name of TCP_KEEPIDLE on macOS
    ("TCP_KEEPINTVL", 15),
    ("TCP_KEEPCNT", 4),
)
"""Options for detecting a lost connection. A model may send nothing for minutes, and the connection
may be lost while this machine sleeps."""
_RECEIVE_BUFFER: Final = 256 * 1024
"""Bytes of a response that the system should buffer; some systems default to 32 MiB. With a round
trip of 100 ms, this still allows 2 MiB per second."""

_CLOSE_ITERATIONS: Final = 8
"""Iterations of the event loop within which an aborted connection closes, even with TLS."""

Origin = tuple[str, str, int]


class _UrlParts(NamedTuple):
    """The parts of a URL."""

    origin: Origin
    netloc: str
    path: str


class ConnectionPool:
    """A connection pool without a size limit, for direct connections.

    It does not follow redirects, keep cookies, decompress bodies, or send a request twice.
    While several requests are running, it keeps a spare connection, so that the next request does
    not wait for a TLS handshake.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._idle: dict[Origin, list[HttpConnection]] = {}
        self._open: set[HttpConnection] = set()
        self._dns = DnsCache()
        self._sweeper: asyncio.TimerHandle | None = None
        self._has_closed = False
        self._spares: dict[Origin, asyncio.Task[None]] = {}
        """The tasks that are opening spare connections."""

    async def send(self, request: HttpRequest) -> HttpExchange:
        """Send `request` and return its response with an unread body.

        Raises `httpx.TransportError`.
        """
        target = _parse_url(request.url)
        head = _head(request, target)
        connection = self._take_idle(target.origin)
        if connection is None:
            connection = await self._connect(target.origin, request.timeouts.get("connect"))
        exchange = connection.send(head, request.body or b"", request.timeouts.get("read"))
        try:
            await exchange.head()
        except BaseException:
            connection.release(exchange)
            raise
        # This comes last, because the handshake would delay the response.
        self._open_spare(target.origin)
        return exchange

    async def aclose(self) -> None:
        """Close all connections."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        for spare in self._spares.values():
            spare.cancel()
        for connection in list(self._open):
            connection.abort()
        self._idle.clear()
        # The event loop closes the sockets in its next iterations.
        for _ in range(_CLOSE_ITERATIONS):
            if self._open or self._spares:
                await asyncio.sleep(0)

    def _take_idle(self, origin: Origin) -> HttpConnection | None:
        """Return an idle connection that is still usable, or None."""
        idle = self._idle.get(origin, ())
        while idle:
            connection = idle.pop()
            if _is_usable(connection, _KEEP_ALIVE):
                return connection
            connection.abort()
        return None

    def _open_spare(self, origin: Origin) -> None:
        """Open a spare connection if several requests are running and no connection is idle."""
        if self._idle.get(origin) or origin in self._spares:
            return
        if len(self._open) - sum(map(len, self._idle.values())) < _MIN_BUSY:
            return

        async def connect() -> None:
            # If this fails, the next request opens a connection itself, and reports the error.
            with suppress(httpx.TransportError):
                connection = await self._connect(origin, _SPARE_TIMEOUT)
                connection.become_idle()

        spare = asyncio.get_running_loop().create_task(connect())
        spare.add_done_callback(lambda _: self._spares.pop(origin))
        self._spares[origin] = spare

    async def _connect(self, origin: Origin, timeout: float | None) -> HttpConnection:
        scheme, host, port = origin

        def create() -> HttpConnection:
            return HttpConnection(on_idle=keep, on_close=remove)

        def keep(connection: HttpConnection) -> None:
            self._idle.setdefault(origin, []).append(connection)
            if self._sweeper is None:
                self._sweeper = loop.call_later(_SWEEP_INTERVAL, self._sweep)

        def remove(connection: HttpConnection) -> None:
            self._open.discard(connection)
            idle = self._idle.get(origin, [])
            if connection in idle:
                idle.remove(connection)

        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout):
                addresses = await self._dns.addresses(host, port)
                sock = await start_connection(addresses, happy_eyeballs_delay=_HAPPY_EYEBALLS_DELAY)
                _set_options(sock)
                transport, connection = await loop.create_connection(create, sock=sock)
                if scheme == "https":
                    # Not in `create_connection`, which would hide the transport below TLS.
                    secure = await loop.start_tls(
                        transport, connection, self._context, server_hostname=host
                    )
                    if secure is None:  # the connection was lost in the meantime
                        raise OSError("the connection was closed during the TLS handshake")
                    connection.encrypted(secure, transport)
        except TimeoutError as error:
            self._dns.remove(host, port)
            raise httpx.ConnectTimeout("") from error
        except OSError as error:
            self._dns.remove(host, port)
            raise httpx.ConnectError(str(error)) from error
        if connection.is_open:
            self._open.add(connection)
        return connection

    def _sweep(self) -> None:
        """Close idle connections that are unusable or more than needed.

        The next call frees their memory, unless that would delay a request.
        """
        self._sweeper = None
        if self._has_closed and len(self._open) == sum(map(len, self._idle.values())):
            return_freed_memory()
            self._has_closed = False
        for idle in self._idle.values():
            newest = len(idle) - _IDLE_THRESHOLD
            for at, connection in enumerate(idle.copy()):
                if not _is_usable(connection, _SWEEP_INTERVAL if at < newest else _KEEP_ALIVE):
                    idle.remove(connection)
                    connection.abort()
                    self._has_closed = True
        if self._has_closed or any(self._idle.values()):
            self._sweeper = asyncio.get_running_loop().call_later(_SWEEP_INTERVAL, self._sweep)


@lru_cache(maxsize=64)
def _parse_url(address: str) -> _UrlParts:
    """Parse a URL. Cached, since there are few URLs, and parsing takes 5% of a request's time."""
    url = httpx.URL(address)
    port = url.port or (443 if url.scheme == "https" else 80)
    return _UrlParts(
        (url.scheme, url.host, port), url.netloc.decode("ascii"), url.raw_path.decode("ascii")
    )


def _head(request: HttpRequest, target: _UrlParts) -> bytes:
    values = "".join(request.headers.values())
    if not values.isascii() or "\r" in values or "\n" in values or "\0" in values:
        raise httpx.LocalProtocolError("a header contains a forbidden character")
    lines = [f"{request.method} {target.path} HTTP/1.1", f"host: {target.netloc}"]
    lines += map(": ".join, request.headers.items())
    if request.body is not None:
        lines.append(f"content-length: {len(request.body)}")
    return "\r\n".join([*lines, "", ""]).encode("ascii")


def _is_usable(connection: HttpConnection, keep_alive: float) -> bool:
    """Return whether an idle connection is open, has nothing to read, and is not too old."""
    monotonic, wall = connection.idle_since
    age = max(time.monotonic() - monotonic, time.time() - wall)
    return connection.is_open and age < keep_alive and not connection.is_readable()


def _set_options(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _TCP_KEEP_ALIVE:
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
