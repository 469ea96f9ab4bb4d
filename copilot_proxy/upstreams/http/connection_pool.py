"""The connections to the Copilot API of a server that has many open at once.

httpx's own pool looks through all its connections for every request, and its layers touch every
piece of every stream: with 16 clients that is most of what a request costs. This knows exactly
whether a call was sent: only what fails as `httpx.ConnectError` or `httpx.ConnectTimeout` has
surely not been.
"""

import asyncio
import re
import select
import socket
import ssl
import time
from functools import lru_cache
from typing import Final, NamedTuple

import httpx
from aiohappyeyeballs import start_connection

from copilot_proxy.upstreams.http.connection import HttpConnection, HttpExchange
from copilot_proxy.upstreams.http.dns_cache import DnsCache
from copilot_proxy.upstreams.http.transport import HttpRequest

_KEEP: Final = 30.0
"""Seconds for which an unused connection may be used again; within as many more it is closed."""
_NEXT_ADDRESS: Final = 0.25
"""Seconds after which the next address of a host is tried as well (RFC 8305)."""
_PROBES: Final = (
    ("TCP_KEEPIDLE", 60),
    ("TCP_KEEPALIVE", 60),  # the same, as macOS calls it
    ("TCP_KEEPINTVL", 15),
    ("TCP_KEEPCNT", 4),
)
"""After a minute of silence the other side is asked if it is there: it may have gone while this
machine slept, and models think for minutes without a word."""
_MOST_HELD: Final = 256 * 1024
"""Bytes of an answer that the system may hold while nobody reads it; some hold 32 MiB. Over a line
of 100 ms it still lets 2 MiB a second through."""

_FORBIDDEN: Final = re.compile(r"[\r\n\0]")
"""What would end a header."""
_ROUNDS: Final = 8
"""Rounds of the event loop in which an aborted connection has closed, also one with TLS."""

Origin = tuple[str, str, int]


class _Place(NamedTuple):
    """What an address says."""

    origin: Origin
    netloc: str
    target: str


class ConnectionPool:
    """As many as there are requests, straight to the other side.

    Follows no redirect, keeps no cookie, unpacks nothing, and sends nothing a second time.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._free: dict[Origin, list[HttpConnection]] = {}
        self._open: set[HttpConnection] = set()
        self._lookups = DnsCache()
        self._sweeper: asyncio.TimerHandle | None = None

    async def send(self, request: HttpRequest) -> HttpExchange:
        """The answer to `request`, its body unread; raises `httpx.TransportError`."""
        place = _place(request.url)
        head = _head(request, place)
        connection = self._kept(place.origin)
        if connection is None:
            patience = request.timeouts.get("connect")
            connection = await self._connected(place.origin, patience)
        exchange = connection.send(head, request.body or b"", request.timeouts.get("read"))
        try:
            await exchange.head()
        except BaseException:
            connection.leave(exchange)
            raise
        return exchange

    async def aclose(self) -> None:
        """Closes them all."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        for connection in list(self._open):
            connection.abort()
        self._free.clear()
        # The loop closes their sockets in its next rounds, if there are any.
        for _ in range(_ROUNDS):
            if self._open:
                await asyncio.sleep(0)

    def _kept(self, origin: Origin) -> HttpConnection | None:
        """A connection that was used before and is still good."""
        free = self._free.get(origin, ())
        while free:
            connection = free.pop()
            if _is_good(connection):
                return connection
            connection.abort()
        return None

    async def _connected(self, origin: Origin, patience: float | None) -> HttpConnection:
        scheme, host, port = origin

        def made() -> HttpConnection:
            return HttpConnection(on_free=keep, on_end=forget)

        def keep(connection: HttpConnection) -> None:
            self._free.setdefault(origin, []).append(connection)
            if self._sweeper is None:
                self._sweeper = loop.call_later(_KEEP, self._sweep)

        def forget(connection: HttpConnection) -> None:
            self._open.discard(connection)
            free = self._free.get(origin, [])
            if connection in free:
                free.remove(connection)

        loop = asyncio.get_running_loop()
        secure = scheme == "https"
        try:
            async with asyncio.timeout(patience):
                addresses = await self._lookups.addresses(host, port)
                one = await start_connection(addresses, happy_eyeballs_delay=_NEXT_ADDRESS)
                _set_up(one)
                _, connection = await loop.create_connection(
                    made,
                    sock=one,
                    ssl=self._context if secure else None,
                    server_hostname=host if secure else None,
                )
        except TimeoutError as error:
            self._lookups.forget(host, port)
            raise httpx.ConnectTimeout("") from error
        except OSError as error:
            self._lookups.forget(host, port)
            raise httpx.ConnectError(str(error)) from error
        if connection.is_open:
            self._open.add(connection)
        return connection

    def _sweep(self) -> None:
        """Closes what nobody has used for a while."""
        self._sweeper = None
        for free in self._free.values():
            for connection in [one for one in free if not _is_good(one)]:
                free.remove(connection)
                connection.abort()
        if any(self._free.values()):
            self._sweeper = asyncio.get_running_loop().call_later(_KEEP, self._sweep)


@lru_cache(maxsize=64)
def _place(address: str) -> _Place:
    """There are few, and taking one apart costs a twentieth of a request."""
    url = httpx.URL(address)
    port = url.port or (443 if url.scheme == "https" else 80)
    return _Place(
        (url.scheme, url.host, port), url.netloc.decode("ascii"), url.raw_path.decode("ascii")
    )


def _head(request: HttpRequest, place: _Place) -> bytes:
    values = "".join(request.headers.values())
    if _FORBIDDEN.search(values) or not values.isascii():
        raise httpx.LocalProtocolError("a header that cannot be sent")
    lines = [f"{request.method} {place.target} HTTP/1.1", f"host: {place.netloc}"]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    if request.body is not None:
        lines.append(f"content-length: {len(request.body)}")
    return "\r\n".join([*lines, "", ""]).encode("ascii")


def _is_good(connection: HttpConnection) -> bool:
    """Whether a free connection may be used: open, silent, and not free for long."""
    monotonic, wall = connection.free_since
    age = max(time.monotonic() - monotonic, time.time() - wall)
    return connection.is_open and age < _KEEP and not _has_news(connection.fileno())


def _has_news(number: int) -> bool:
    """Whether the system has something for a socket that nothing is expected on: its end."""
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(number, select.POLLIN)
        return bool(poll.poll(0))
    return bool(select.select([number], [], [], 0)[0])


def _set_up(one: socket.socket) -> None:
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _MOST_HELD)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _PROBES:
        if hasattr(socket, name):
            one.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
