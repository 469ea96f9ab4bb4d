"""How the server ends, as a client sees it who comes at that very moment."""

import asyncio
import json
import socket

from copilot_proxy.app import create_app
from copilot_proxy.auth.threads import in_thread
from copilot_proxy.cli.composition import make_services
from copilot_proxy.cli.server import Server
from copilot_proxy.simulator import Simulator
from tests.cli.terminals import question
from tests.conftest import settings_at


async def test_a_request_that_waits_at_the_door_is_answered(simulator: Simulator) -> None:
    """A client whose connection the system has taken, but not yet the server, is let in when the
    server is told to end, and its request is finished like those that were open."""
    body = json.dumps(question("Hi")).encode()
    head = "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n"
    late = socket.socket()

    def come_too_late() -> None:
        late.connect(listener.getsockname())
        late.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        server.finish()

    def read() -> bytes:
        late.settimeout(10)
        return b"".join(iter(lambda: late.recv(65536), b""))

    settings = settings_at(simulator)
    listener = socket.create_server(("127.0.0.1", 0))
    server = Server(
        create_app(make_services(settings, report=lambda _: None)),
        settings,
        on_ready=lambda: asyncio.get_running_loop().call_soon(come_too_late) and None,
        on_finishing=lambda _: None,
        on_cut=lambda _: None,
    )
    with late:
        await server.serve(sockets=[listener])
        told = await in_thread(read)
    assert told.startswith(b"HTTP/1.1 200 OK")
    assert b"simulator" in told
