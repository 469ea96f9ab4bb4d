"""The contract of both transports to the Copilot API: requests, answers and failures."""

import asyncio
import os
import socket
import ssl
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import trustme

from copilot_proxy.errors import UpstreamUnreachable
from copilot_proxy.network import http_clients
from copilot_proxy.network.certificates import tls_context
from copilot_proxy.network.http_clients import make_client
from copilot_proxy.network.http_errors import map_http_error
from copilot_proxy.settings import Settings
from copilot_proxy.upstreams.http import connection_pool
from copilot_proxy.upstreams.http.client_transport import make_transport
from copilot_proxy.upstreams.http.connection_pool import ConnectionPool
from copilot_proxy.upstreams.http.response import CopilotResponse, body_reader
from copilot_proxy.upstreams.http.transport import HttpRequest, HttpResponse, Transport
from tests.servers import serving

SETTINGS = Settings(connect_timeout=60, read_timeout=60)
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

Answer = Callable[["Peer", bytes, asyncio.StreamWriter], Awaitable[None]]


class Peer:
    """A server that answers with `answer`, and records the requests."""

    def __init__(self, answer: bytes | Answer) -> None:
        self.answer = answer
        self.requests: list[bytes] = []
        self.connections = 0
        self.gone = asyncio.Event()
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    (int(v) for k, _, v in fields(head) if k == b"content-length"),
                    0,
                )
                self.requests.append(head + await reader.readexactly(length))
                if isinstance(self.answer, bytes):
                    writer.write(self.answer)
                else:
                    await self.answer(self, head, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            self.gone.set()
        finally:
            writer.close()


def fields(head: bytes) -> list[tuple[bytes, bytes, bytes]]:
    """Return the header lines of a request."""
    lines = head.strip().split(b"\r\n")[1:]
    return [(k.strip().lower(), b":", v.strip()) for k, _, v in (x.partition(b":") for x in lines)]


@asynccontextmanager
async def peer(
    answer: bytes | Answer, context: ssl.SSLContext | None = None
) -> AsyncIterator[Peer]:
    made = Peer(answer)
    async with serving(made.serve, ssl=context) as port:
        made.url = f"{'https' if context else 'http'}://127.0.0.1:{port}"
        yield made


@pytest.fixture(params=[True, False], ids=["many", "few"])
async def transport(request: pytest.FixtureRequest) -> AsyncIterator[Transport]:
    """Each of the transports: the server's, and the transport for single commands."""
    async with make_client(SETTINGS) as client:
        made = make_transport(client, many=request.param)
        assert isinstance(made, ConnectionPool) is request.param
        yield made
        await made.aclose()


async def ask(
    transport: Transport, url: str, read_timeout: float = 60, **headers: str
) -> HttpResponse:
    timeouts = {**http_clients.timeouts(SETTINGS), "read": read_timeout}
    sent = {"user-agent": "ours", "accept": "a/b", "accept-encoding": "gzip", **headers}
    return await transport.send(HttpRequest("POST", url, sent, b"{}", timeouts))


async def whole(response: HttpResponse) -> bytes:
    """Read the rest of the body and close the answer."""
    try:
        return b"".join([piece async for piece in pieces_of(response)])
    finally:
        await response.aclose()


async def pieces_of(response: HttpResponse) -> AsyncIterator[bytes]:
    while piece := await response.read():
        yield piece


async def failure(transport: Transport, url: str, read_timeout: float = 60) -> UpstreamUnreachable:
    with pytest.raises(httpx.HTTPError) as caught:
        await ask(transport, url, read_timeout)
    return map_http_error(caught.value, url)


async def test_no_library_adds_headers(transport: Transport) -> None:
    """No library adds headers, and connections are reused."""
    async with peer(OK) as other:
        for _ in range(2):
            response = await ask(transport, other.url + "/a%2Fb?c=%7E")
            assert b"ok" == await whole(response)

    assert 1 == other.connections
    request = other.requests[1]
    assert request.startswith(b"POST /a%2Fb?c=%7E HTTP/1.1\r\n")
    assert request.endswith(b"\r\n\r\n{}")
    assert {
        (b"host", other.url.removeprefix("http://").encode()),
        (b"user-agent", b"ours"),
        (b"accept", b"a/b"),
        (b"accept-encoding", b"gzip"),
        (b"content-length", b"2"),
    } == {(name, value) for name, _, value in fields(request.partition(b"\r\n\r\n")[0])}


async def test_neither_redirects_nor_cookies(transport: Transport) -> None:
    """Redirects are not followed, and cookies are not kept."""
    answer = (
        b"HTTP/1.1 302 Found\r\nlocation: /other\r\nset-cookie: a=b\r\ncontent-length: 0\r\n\r\n"
    )
    async with peer(answer) as other:
        for _ in range(2):
            response = await ask(transport, other.url)
            await whole(response)

    assert (302, 2) == (response.status, len(other.requests))
    assert b"cookie" not in other.requests[1]


async def test_unusual_answers(transport: Transport) -> None:
    """Early hints are skipped, and long headers are accepted."""
    answer = (
        b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nx-long: " + b"a" * 40_000 + b"\r\ncontent-length: 2\r\n\r\nok"
    )
    async with peer(answer) as other:
        response = await ask(transport, other.url)

        assert (200, 40_000) == (response.status, len(response.headers["x-long"]))
        assert b"ok" == await whole(response)


async def test_bytes_in_headers(transport: Transport) -> None:
    """Non-ASCII bytes in headers are accepted."""
    answer = (
        "HTTP/1.1 200 OK\r\nx-where: Zürich\r\ncontent-encoding: gzïp\r\n"
        "content-length: 2\r\n\r\nok"
    ).encode()
    async with peer(answer) as other:
        response = await ask(transport, other.url)
        read = body_reader(response)

        assert "Zürich".encode() == response.headers["x-where"].encode("latin-1")
        assert b"ok" == await read()
        await response.aclose()


async def test_a_refused_connection(transport: Transport) -> None:
    """A refused connection is reported as not sent."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        error = await failure(transport, f"http://{address}/x")

    assert (f"{address} refused the connection.", False) == (error.message, error.sent)


async def test_a_name_that_does_not_exist(
    transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failed name lookup is distinguished from later failures."""

    def nothing(*args: object, **more: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nothing)
    error = await failure(transport, "http://nowhere.invalid/x")

    assert "The host name nowhere.invalid could not be resolved." == error.message
    assert error.sent is False


async def test_an_untrusted_certificate(transport: Transport) -> None:
    """An untrusted certificate is named as the cause, and the request is reported as not sent."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    async with peer(OK, context) as other:
        error = await failure(transport, other.url)

    assert "is not trusted" in error.message
    assert (False, []) == (error.sent, other.requests)


async def test_tls_to_a_plain_http_port(
    transport: Transport,
) -> None:
    """TLS to a plain http port is reported as a wrong protocol."""
    async with peer(OK) as other:
        other.answer = b"HTTP/1.1 400 Bad HttpRequest\r\n\r\n"

        async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 400 Bad HttpRequest\r\n\r\n")
            writer.close()

        async with serving(plain) as port:
            error = await failure(transport, f"https://127.0.0.1:{port}")

    assert error.message.startswith("The TLS handshake with 127.0.0.1:")
    assert error.sent is False


async def hang_up(_: Peer, head: bytes, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def reset(_: Peer, head: bytes, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


@pytest.mark.parametrize("answer", [hang_up, reset, b"HTTP/9.9 what\r\n\r\n", b"\x00\x01\r\n\r\n"])
async def test_a_request_without_an_answer_counts_as_sent(
    transport: Transport, answer: bytes | Answer
) -> None:
    """A request without an answer counts as sent, since it may have been billed."""
    async with peer(answer) as other:
        error = await failure(transport, other.url)

    assert (502, True, 1) == (error.status, error.sent, len(other.requests))
    assert "false" == error.headers["x-should-retry"]


async def test_a_kept_connection_that_ends_with_the_next_request(
    transport: Transport,
) -> None:
    """If a reused connection closes after the request was sent, the request is not retried."""
    async with peer(OK) as other:
        response = await ask(transport, other.url)
        await whole(response)
        other.answer = hang_up
        error = await failure(transport, other.url)

    assert (True, 2, 1) == (error.sent, len(other.requests), other.connections)


async def test_a_kept_connection_that_has_ended_is_not_used(
    transport: Transport,
) -> None:
    """A closed connection is replaced before anything is sent."""

    async def once(other: Peer, head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        if other.connections == 1:
            writer.close()
            await writer.wait_closed()

    async with peer(once) as other:
        response = await ask(transport, other.url)
        await whole(response)
        async with asyncio.timeout(60):
            await other.gone.wait()
        response = await ask(transport, other.url)
        await response.aclose()

    assert (200, 2) == (response.status, other.connections)


async def test_a_read_timeout(transport: Transport) -> None:
    """A request with a read timeout counts as sent."""
    async with peer(b"") as other:
        error = await failure(transport, other.url, read_timeout=0.05)

    assert "did not answer in time" in error.message
    assert (504, True) == (error.status, error.sent)


CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n"


@pytest.mark.parametrize("ending", [b"5\r\nde", b"zz\r\n", b""])
async def test_an_incomplete_body(transport: Transport, ending: bytes) -> None:
    """The received part of the body is returned before the failure is raised."""

    async def cut(_: Peer, head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED)
        await writer.drain()
        if not heard.is_set():
            await heard.wait()
        writer.write(ending)
        writer.close()

    heard = asyncio.Event()
    async with peer(cut) as other:
        response = await ask(transport, other.url)
        pieces = []
        with pytest.raises(httpx.TransportError):
            async for piece in pieces_of(response):
                pieces.append(piece)
                heard.set()
        await response.aclose()

    assert b"".join(pieces) in (b"abc", b"abcde")


async def test_bytes_after_the_content_length(transport: Transport) -> None:
    """An answer is complete at its content-length, even if more bytes follow."""
    answer = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok, and more"
    async with peer(answer) as made:
        assert b"ok" == await whole(await ask(transport, made.url))


async def test_a_timeout_within_a_stream(transport: Transport) -> None:
    """A timeout during a stream raises its own error class."""
    async with peer(CHUNKED) as other:
        with pytest.raises(httpx.ReadTimeout):
            # On a busy machine, the time may end before the headers come, with the same error.
            await whole(await ask(transport, other.url, read_timeout=0.05))


async def test_leaving_early_closes_the_connection(transport: Transport) -> None:
    """Leaving a stream early closes the connection immediately."""
    async with peer(CHUNKED) as other:
        response = await ask(transport, other.url)
        assert b"abc" == await response.read()
        await response.aclose()
        async with asyncio.timeout(60):
            await other.gone.wait()


async def test_behind_a_proxy_the_ordinary_client_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind a proxy, the server uses the ordinary HTTP client."""
    async with peer(OK) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        async with make_client(SETTINGS) as client:
            made = make_transport(client, many=True)
            response = await ask(made, "http://elsewhere.example/x")
            await response.aclose()

    assert proxy.requests[0].startswith(b"POST http://elsewhere.example/x HTTP/1.1\r\n")


async def test_line_breaks_in_headers_are_refused(transport: Transport) -> None:
    """Line breaks in header values are refused."""
    async with peer(OK) as other:
        for value in ("a\r\nb: c", "a\nb", "a\0b"):
            with pytest.raises(httpx.LocalProtocolError):
                await ask(transport, other.url, accept=value)

        assert [] == other.requests


@pytest.fixture
async def many() -> AsyncIterator[ConnectionPool]:
    """The server's transport."""
    made = ConnectionPool(tls_context())
    yield made
    await made.aclose()


async def used(transport: ConnectionPool, url: str) -> None:
    """Send a request and return the connection to the pool."""
    response = await ask(transport, url)
    await whole(response)


@pytest.mark.parametrize("clock", ["monotonic", "time"])
async def test_connections_are_not_reused_after_a_sleep(
    many: ConnectionPool, monkeypatch: pytest.MonkeyPatch, clock: str
) -> None:
    """Connections are not reused if either clock shows that the machine has slept."""
    async with peer(OK) as other:
        await used(many, other.url)
        now = getattr(time, clock)
        monkeypatch.setattr(connection_pool, "time", Clocks(**{clock: lambda: now() + 8 * 3600}))
        await used(many, other.url)

    assert 2 == other.connections


class Clocks:
    """Python's clocks, with one replaced."""

    def __init__(self, **other: Callable[[], float]) -> None:
        self.monotonic, self.time = time.monotonic, time.time
        vars(self).update(other)


async def test_unused_connections_are_closed(
    many: ConnectionPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Idle connections are closed after a while."""
    monkeypatch.setattr(connection_pool, "_KEEP_ALIVE", 0.02)
    monkeypatch.setattr(connection_pool, "_SWEEP_INTERVAL", 0.02)
    async with peer(OK) as other:
        await used(many, other.url)
        async with asyncio.timeout(60):
            await other.gone.wait()


async def test_few_of_many_unused_connections_are_kept(
    many: ConnectionPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After many concurrent requests, most connections are soon closed, and their memory freed."""
    returned = asyncio.Event()
    monkeypatch.setattr(connection_pool, "_SWEEP_INTERVAL", 0.02)
    monkeypatch.setattr(connection_pool, "return_freed_memory", returned.set)
    async with peer(OK) as other:
        await asyncio.gather(*(used(many, other.url) for _ in range(20)))
        async with asyncio.timeout(60):
            await returned.wait()
        await used(many, other.url)
        assert connection_pool._IDLE_THRESHOLD == len(many._open)

    assert 20 == other.connections


async def test_connections_notice_a_dead_peer_and_hold_little(many: ConnectionPool) -> None:
    """TCP keep-alive is on, and socket buffers are small."""
    async with peer(OK) as other:
        await used(many, other.url)
        (connection,) = many._open
        with socket.socket(fileno=os.dup(connection.fileno())) as one:
            assert one.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            if sys.platform == "linux":
                assert 60 == one.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
                limit = int(Path("/proc/sys/net/core/rmem_max").read_text())  # noqa: ASYNC240  # no disk
                held = one.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
                # The system doubles the size.
                assert (
                    2 * min(connection_pool._RECEIVE_BUFFER, limit) == held
                )  # the system doubles it


@pytest.mark.parametrize("turns", range(12))
async def test_leaving_at_the_last_event_closes_the_connection(
    transport: Transport, turns: int
) -> None:
    """Leaving at the last event closes the connection without waiting for the end of the body."""
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
    data = b"data: [DONE]\n\n"
    endless = head + b"transfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n" % (len(data), data)
    async with peer(endless) as other:
        answer = CopilotResponse(await ask(transport, other.url), stream_requested=True)
        assert [b"[DONE]"] == await answer.receive(lambda events: events)
        answer.finish()
        closing = asyncio.create_task(answer.aclose())
        for _ in range(turns):
            await asyncio.sleep(0)
        closing.cancel()
        await asyncio.wait({closing})
        if turns:  # otherwise it has not started, and the owner of the answer closes it again
            async with asyncio.timeout(60):
                await other.gone.wait()
