"""When the connection pool opens connections, tested with a real server."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable

import httpx
import pytest
import trustme

from copilot_proxy.upstreams.http.connection import HttpExchange
from copilot_proxy.upstreams.http.connection_pool import ConnectionPool
from copilot_proxy.upstreams.http.transport import HttpRequest
from tests.servers import iterate, running, serving

_BEGIN = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n"
_END = b"0\r\n\r\n"


class Upstream:
    """A server whose answers begin immediately, and end when `may_end` is set."""

    url: str
    stop_listening: Callable[[], None]

    def __init__(self) -> None:
        self.connections = 0
        self.used: list[int] = []
        """For each request, the number of the connection that it arrived on."""
        self.may_end = asyncio.Event()
        self.changed = asyncio.Condition()

    async def have_connected(self, count: int) -> None:
        """Wait until at least `count` connections have been made."""
        async with self.changed:
            await asyncio.wait_for(self.changed.wait_for(lambda: self.connections >= count), 60)
        await iterate()  # until the pool also has the connection

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with self.changed:
            self.connections += 1
            self.changed.notify_all()
        number = self.connections
        while await reader.readuntil(b"\r\n\r\n"):
            self.used.append(number)
            writer.write(_BEGIN)
            await self.may_end.wait()
            writer.write(_END)


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    started = Upstream()
    async with running(started.serve) as server:
        started.url = "http://{}:{}/".format(*server.sockets[0].getsockname())
        started.stop_listening = server.close
        yield started


@pytest.fixture
async def pool() -> AsyncIterator[ConnectionPool]:
    made = ConnectionPool(ssl.create_default_context())
    yield made
    await made.aclose()


async def ask(pool: ConnectionPool, upstream: Upstream) -> HttpExchange:
    return await pool.send(HttpRequest("GET", upstream.url, {}, None, {"connect": 60, "read": 60}))


@pytest.mark.parametrize("is_secure", [False, True])
async def test_bytes_that_the_server_has_not_read(is_secure: bool) -> None:
    """Unread bytes count as unsent, even over TLS, so a slow upload is not taken for silence."""
    authority, has_begun, may_read = trustme.CA(), asyncio.Event(), asyncio.Event()
    theirs, ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(theirs)
    authority.configure_trust(ours)
    unsent: list[int] = []

    async def read_slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        has_begun.set()
        await may_read.wait()
        await reader.readexactly(len(body))
        unsent.extend(one.unsent() for one in pool._open)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()

    body = bytes(20_000_000)
    pool = ConnectionPool(ours)
    async with serving(read_slowly, ssl=theirs if is_secure else None) as port:
        url = f"http{'s' * is_secure}://127.0.0.1:{port}/"
        sending = asyncio.create_task(pool.send(HttpRequest("POST", url, {}, body, {})))
        await asyncio.wait_for(has_begun.wait(), 30)
        unsent.extend(one.unsent() for one in pool._open)
        may_read.set()
        exchange = await sending
        await exchange.aclose()
        await pool.aclose()

    assert unsent[0] > 10_000_000
    assert 0 == unsent[1]


async def test_requests_one_after_the_other_share_a_connection(
    pool: ConnectionPool, upstream: Upstream
) -> None:
    """No spare connection is opened for consecutive requests."""
    upstream.may_end.set()
    for _ in range(5):
        exchange = await ask(pool, upstream)
        while await exchange.read():
            pass
    assert [1] * 5 == upstream.used
    assert 1 == upstream.connections


async def test_a_spare_connection(pool: ConnectionPool, upstream: Upstream) -> None:
    """While several requests are running, the next request finds an open connection."""
    for _ in range(2):
        await ask(pool, upstream)
    await upstream.have_connected(3)
    await ask(pool, upstream)
    assert [1, 2, 3] == upstream.used
    await upstream.have_connected(4)
    assert 4 == upstream.connections


async def test_a_spare_connection_that_cannot_be_opened(
    pool: ConnectionPool, upstream: Upstream
) -> None:
    """The running requests continue, and the next one reports the error."""
    exchanges = [await ask(pool, upstream)]
    waiting = asyncio.create_task(ask(pool, upstream))
    await upstream.have_connected(2)
    upstream.stop_listening()
    exchanges.append(await waiting)
    with pytest.raises(httpx.ConnectError):
        await asyncio.gather(*(ask(pool, upstream) for _ in range(2)))
    upstream.may_end.set()
    for exchange in exchanges:
        assert b"ok" == await exchange.read()
        assert b"" == await exchange.read()
