"""How responses are written to the connection, read from a socket."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from uvicorn.server import ServerState

from copilot_proxy.asgi import DISCONNECT, Receive, Scope, Send
from copilot_proxy.server.uvicorn_config import server_config
from copilot_proxy.settings import Settings

App = Callable[[Scope, Receive, Send], Coroutine[Any, Any, None]]
REQUEST = b"GET /%d HTTP/1.1\r\nhost: localhost\r\n\r\n"


@asynccontextmanager
async def connected(app: App) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Serve `app`, and yield a connection on which one request has been sent."""
    config = server_config(app, Settings())
    config.load()
    state = ServerState()
    server = await asyncio.get_running_loop().create_server(
        lambda: config.http_protocol_class(  # type: ignore[call-arg]
            config=config, server_state=state, app_state={}
        ),
        "127.0.0.1",
    )
    async with server, asyncio.timeout(20):
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(REQUEST % 1)
        yield reader, writer
        writer.close()


def start(*headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"type": "http.response.start", "status": 200, "headers": list(headers)}


def part(body: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": more}


def test_the_head_does_not_wait_for_the_body() -> None:
    """Clients that get the head late may give up, for example when a model is slow."""

    async def run() -> None:
        may_go_on = asyncio.Event()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await send(start((b"x-one", b"1")))
            await may_go_on.wait()
            await send(part(b"first", more=True))
            await send(part(b"last"))

        async with connected(app) as (reader, _):
            head = await reader.readuntil(b"\r\n\r\n")
            assert b"\r\nx-one: 1\r\n" in head
            may_go_on.set()
            body = await reader.readuntil(b"0\r\n\r\n")
        assert b"5\r\nfirst\r\n4\r\nlast\r\n0\r\n\r\n" == body

    asyncio.run(run())


def test_pipelined_requests_are_answered_in_order() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        body = scope["path"].encode()
        await send(start((b"content-length", b"%d" % len(body))))
        await send(part(body))

    async def run() -> None:
        async with connected(app) as (reader, writer):
            writer.write(REQUEST % 2 + REQUEST % 3)
            for number in (1, 2, 3):
                await reader.readuntil(b"\r\n\r\n")
                assert b"/%d" % number == await reader.readexactly(2)

    asyncio.run(run())


def test_a_header_cannot_begin_another_one() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start((b"x-one", b"1\r\nx-two: 2")))

    async def run() -> None:
        async with connected(app) as (reader, _):
            head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 500 ")
        assert b"x-two" not in head

    asyncio.run(run())


def test_a_body_that_is_too_short_closes_the_connection() -> None:
    """The connection closes, so the next response is not mistaken for the rest of the body."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start((b"content-length", b"5")))
        await send(part(b"abc"))

    async def run() -> None:
        async with connected(app) as (reader, _):
            assert b"abc" not in await reader.read()

    asyncio.run(run())


def test_a_disconnect_is_reported() -> None:
    async def run() -> None:
        begun, gone = asyncio.Event(), asyncio.Event()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            scope["state"][DISCONNECT].call(gone.set)
            await send(start())
            await send(part(b"a", more=True))
            begun.set()
            await gone.wait()

        async with connected(app) as (_, writer):
            await begun.wait()
            assert not gone.is_set()
            writer.close()
            await gone.wait()

    asyncio.run(run())
