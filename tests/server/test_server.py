"""Graceful shutdown, from the point of view of clients with open or new requests."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from copilot_proxy.app import create_app
from copilot_proxy.composition import make_services
from copilot_proxy.daemon_threads import run_in_thread
from copilot_proxy.server.uvicorn_server import Server
from copilot_proxy.simulator import Simulator
from tests.cli.terminals import question
from tests.conftest import NO_TLS, settings_at

MODEL = "claude-sonnet-4.5"
ASKED: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": question("Write 600 words"),
    "/v1/messages": {**question("Write 600 words"), "max_tokens": 2000},
    "/v1/responses": {"model": MODEL, "input": "Write 600 words"},
    "/api/chat": question("Write 600 words"),
}
"""A request for each of the chat APIs."""
UPSTREAM = ("/chat/completions", "/responses", "/v1/messages")
OTHERS: dict[str, dict[str, Any] | None] = {
    "/v1/models": None,
    "/v1/embeddings": {"model": "text-embedding-3-small", "input": "Hi"},
    "/v1/messages/count_tokens": ASKED["/v1/messages"],
}
"""Requests that are never streamed; None means GET."""


class Running:
    """A server on the same event loop as its clients."""

    def __init__(self, simulator: Simulator, **flags: object) -> None:
        settings = settings_at(simulator, ollama=True, **flags)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = self.listener.getsockname()
        self.ready = asyncio.Event()
        self.finishing = asyncio.Event()
        self.cut = 0
        services = make_services(settings, report=lambda _: None)
        self.server = Server(
            create_app(services),
            settings,
            on_ready=self.ready.set,
            on_stopping=services.dashboard.close,
            on_finishing=lambda _: self.finishing.set(),
            on_cut=self._note,
        )

    def client(self) -> httpx.AsyncClient:
        """Return a plain HTTP client for the server."""
        url = f"http://127.0.0.1:{self.address[1]}"
        return httpx.AsyncClient(base_url=url, timeout=60, trust_env=False, verify=NO_TLS)

    def _note(self, count: int) -> None:
        self.cut = count


@contextlib.asynccontextmanager
async def running(simulator: Simulator, **flags: object) -> AsyncIterator[Running]:
    """Run a server while the block runs, and wait until it has stopped."""
    one = Running(simulator, **flags)
    serving = asyncio.create_task(one.server.serve(sockets=[one.listener]))
    await one.ready.wait()
    try:
        yield one
    finally:
        one.server.cut()
        await serving
        recorder = simulator.state.recorder
        if recorder.records:
            # Wait until the upstream requests have ended, and let the event loop clean up.
            await recorder.wait_for_async(
                lambda _: all(asked.done.is_set() for asked in recorder.records), timeout=60
            )
        for _ in range(3):
            await asyncio.sleep(0)


async def until_asked(simulator: Simulator, *paths: str) -> None:
    """Wait until an unfinished request to one of `paths` has reached Copilot."""
    await simulator.state.recorder.wait_for_async(
        lambda one: one.path in (paths or UPSTREAM) and not one.done.is_set(), timeout=60
    )


async def test_a_connection_in_the_backlog_is_served(simulator: Simulator) -> None:
    """A connection accepted by the system, but not yet by the server, is still served."""
    body = json.dumps(question("Hi")).encode()
    head = "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n"

    def read(late: socket.socket) -> bytes:
        late.settimeout(60)
        return b"".join(iter(lambda: late.recv(65536), b""))

    with socket.socket() as late:
        async with running(simulator) as one:
            # No other task runs between these lines.
            late.connect(one.address)
            late.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
            one.server.finish()
            received = await run_in_thread(lambda: read(late))
    assert received.startswith(b"HTTP/1.1 200 OK")
    assert b"simulator" in received


@pytest.mark.parametrize("path", ASKED)
async def test_an_aborted_stream_ends_with_an_error_event(simulator: Simulator, path: str) -> None:
    """An aborted stream ends properly, with an error event of its API."""
    simulator.state.faults.on("stall_mid_stream")
    async with running(simulator) as one, one.client() as client:
        body = {**ASKED[path], "stream": True}
        async with client.stream("POST", path, json=body) as answer:
            lines = answer.aiter_lines()
            read = [await anext(lines)]
            one.server.finish()
            await one.finishing.wait()
            one.server.cut()
            read += [line async for line in lines]
    assert one.cut == 1
    data = [line.removeprefix("data: ") for line in read]
    events = [json.loads(line) for line in data if line.lstrip().startswith("{")]
    received = events[-1]
    if path == "/v1/messages":
        assert received["type"] == "error"
    elif path == "/v1/responses":
        assert received["type"] in ("error", "response.failed")
    elif path == "/v1/chat/completions":
        assert read[-2] == "data: [DONE]"
    assert "server_stopped" in json.dumps(received)


@pytest.mark.parametrize("path", ASKED)
async def test_a_stream_without_an_answer_ends_with_an_error_event(
    simulator: Simulator, path: str
) -> None:
    """The status has already been sent, so the error is an event, even if it is the only one."""
    simulator.state.faults.on("stall_before_headers")
    async with running(simulator, header_grace=0.01) as one, one.client() as client:
        body = {**ASKED[path], "stream": True}
        async with client.stream("POST", path, json=body) as answer:
            parts = answer.aiter_text()
            first = await anext(parts)
            one.server.cut()
            rest = [part async for part in parts]
    assert answer.status_code == 200
    assert first.startswith((":", " "))
    assert "server_stopped" in "".join(rest)


@pytest.mark.parametrize("path", ASKED)
@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_that_is_aborted_before_it_began_gets_503(
    simulator: Simulator, path: str, stream: bool
) -> None:
    """The error has the format of its API, and SDKs do not retry it."""
    async with running(simulator, header_grace=600) as one, one.client() as client:
        assert (await client.get("/v1/models")).status_code == 200
        simulator.state.faults.on("stall_before_headers")
        body = {**ASKED[path], "stream": stream}
        asking = asyncio.create_task(client.post(path, json=body))
        await until_asked(simulator)
        one.server.cut()
        answer = await asking
    assert answer.status_code == 503
    assert answer.headers["x-should-retry"] == "false"
    error = answer.json()["error"]
    assert (answer.json() if path == "/api/chat" else error)["code"] == "server_stopped"


async def test_a_client_that_does_not_read_does_not_delay_the_shutdown(
    simulator: Simulator,
) -> None:
    """The client's connection is aborted, and the server stops."""
    body = json.dumps({**question("Write 5000 words"), "stream": True}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x.localhost\r\ncontent-length: {len(body)}"
    with socket.socket() as deaf:
        # The buffer is too small for the whole answer.
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        async with running(simulator) as one:
            deaf.connect(one.address)
            deaf.sendall(f"{head}\r\n\r\n".encode() + body)
            await until_asked(simulator)
            one.server.cut()
    assert one.cut == 1


@pytest.mark.parametrize("path", OTHERS)
async def test_other_aborted_requests_get_503(simulator: Simulator, path: str) -> None:
    """Lists, token counts and embeddings get the same error, never a plain 500."""
    simulator.state.faults.on("stall_before_headers", path="/models")
    async with running(simulator) as one, one.client() as client:
        method = "GET" if OTHERS[path] is None else "POST"
        asking = asyncio.create_task(client.request(method, path, json=OTHERS[path]))
        await until_asked(simulator, "/models")
        one.server.cut()
        answer = await asking
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "server_stopped"


async def test_an_incomplete_body_gets_503(simulator: Simulator) -> None:
    """The client learns that it does not have to send the rest."""
    head = "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{"
    async with running(simulator) as one:
        reader, writer = await asyncio.open_connection(*one.address)
        writer.write(head.encode())
        await writer.drain()
        one.server.finish()
        await one.finishing.wait()
        one.server.cut()
        received = await reader.read()
        writer.close()
        await writer.wait_closed()
    assert received.startswith(b"HTTP/1.1 503 ")
    assert b"server_stopped" in received


@pytest.mark.parametrize("iterations", range(8))
async def test_a_client_that_connects_during_shutdown_does_not_wait(
    simulator: Simulator, iterations: int
) -> None:
    """The connection is closed or refused, in whichever event loop iteration it is made."""
    loop = asyncio.get_running_loop()

    def connect(left: int) -> None:
        if left:
            loop.call_soon(connect, left - 1)
            return
        with contextlib.suppress(ConnectionRefusedError):
            late.connect(address)

    def is_closed() -> bool:
        late.settimeout(60)
        try:
            return late.recv(1) == b""
        except OSError as error:
            return not isinstance(error, TimeoutError)

    with socket.socket() as late:
        async with running(simulator) as one:
            address = one.address
            one.server.finish()
            connect(iterations)
        assert await asyncio.to_thread(is_closed)


async def rest_of(connection: ClientConnection) -> list[Any]:
    """Return the remaining events of a WebSocket, which the server closes."""
    events = []
    with contextlib.suppress(ConnectionClosed):
        while True:
            events.append(json.loads(await connection.recv()))
    assert 1012 == connection.close_code
    return events


@contextlib.asynccontextmanager
async def web_socket(one: Running) -> AsyncIterator[ClientConnection]:
    """Open a WebSocket, without sending pings."""
    url = f"ws://127.0.0.1:{one.address[1]}/v1/responses"
    async with connect(url, ping_interval=None, open_timeout=None, proxy=None) as connection:
        yield connection


async def test_an_idle_web_socket_does_not_delay_the_shutdown(simulator: Simulator) -> None:
    """An idle WebSocket is closed immediately, and does not count as an open request."""
    async with running(simulator) as one, web_socket(one) as connection:
        one.server.finish()
        assert [] == await rest_of(connection)
        assert not one.finishing.is_set()


async def test_a_web_socket_finishes_its_response(simulator: Simulator) -> None:
    """The running response is completed, and a new one refused; then the WebSocket closes."""
    simulator.state.pace = 0.01
    asked = json.dumps({"type": "response.create", "model": MODEL, "input": "Write 40 words"})
    async with running(simulator) as one, web_socket(one) as connection:
        await connection.send(asked)
        await connection.recv()
        one.server.finish()
        await one.finishing.wait()
        await connection.send(json.dumps({**json.loads(asked), "stream_id": "late"}))
        events = await rest_of(connection)
    assert 0 == one.cut
    (refused,) = [event for event in events if event.get("stream_id") == "late"]
    assert (503, "server_stopped") == (refused["status"], refused["error"]["code"])
    assert "response.completed" == events[-1]["type"]


async def test_an_aborted_web_socket_ends_its_response(simulator: Simulator) -> None:
    """The response fails with the reason, before the WebSocket is closed."""
    simulator.state.faults.on("stall_mid_stream")
    asked = json.dumps({"type": "response.create", **ASKED["/v1/responses"]})
    async with running(simulator) as one, web_socket(one) as connection:
        await connection.send(asked)
        await connection.recv()
        one.server.finish()
        await one.finishing.wait()
        one.server.cut()
        received = await rest_of(connection)
    assert 1 == one.cut
    assert "response.failed" == received[-1]["type"]
    assert "server_stopped" == received[-1]["response"]["error"]["code"]


async def test_an_open_dashboard_does_not_delay_the_shutdown(simulator: Simulator) -> None:
    """The dashboard's stream never ends, so the server ends it."""
    async with (
        running(simulator) as one,
        one.client() as client,
        client.stream("GET", "/dashboard/events") as answer,
    ):
        lines = answer.aiter_lines()
        assert "retry: 2000" == await anext(lines)
        one.server.finish()
        rest = [line async for line in lines]
    assert "event: running" in rest
    assert 0 == one.cut
