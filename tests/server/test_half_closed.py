"""Clients that close their side of the connection after a POST; some wait for the answer."""

import json
import socket
from urllib.parse import urlsplit

import pytest

from copilot_proxy.simulator import Simulator
from tests.conftest import Proxy


def post(proxy: Proxy, *, stream: bool, version: str = "1.1") -> socket.socket:
    """Send a request, and close this side of the connection, like ``nc -N``."""
    turns = [{"role": "user", "content": "Hi"}]
    body = json.dumps({"model": "gpt-4o", "stream": stream, "messages": turns}).encode()
    head = f"POST /v1/chat/completions HTTP/{version}\r\nhost: localhost\r\n"
    address = urlsplit(proxy.url)
    connection = socket.create_connection((address.hostname or "", address.port or 0), 60)
    connection.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
    connection.shutdown(socket.SHUT_WR)
    return connection


@pytest.mark.parametrize("stream", [False, True])
def test_it_gets_its_answer(proxy: Proxy, simulator: Simulator, stream: bool) -> None:
    """The client receives its answer even if Copilot takes a while."""
    simulator.state.faults.on("stall_before_headers", value=0.2)
    with post(proxy, stream=stream) as client:
        answer = b"".join(iter(lambda: client.recv(65536), b""))

    interim, _, last = answer.rpartition(b"HTTP/1.1 200 OK\r\n")
    assert set(interim.split(b"\r\n")) <= {b"HTTP/1.1 100 Continue", b""}
    assert (b"data: [DONE]" if stream else b"You said: Hi") in last
    assert not proxy.wait_for_record().client_gone


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves(proxy: Proxy, simulator: Simulator, stream: bool) -> None:
    """The call to Copilot ends soon after a client has fully disconnected."""
    simulator.state.faults.on("stall_before_headers")
    post(proxy, stream=stream).close()

    assert proxy.wait_for_record().client_gone


def test_http_1_0(proxy: Proxy, simulator: Simulator) -> None:
    """HTTP/1.0 has no interim responses, so a half-closed client counts as disconnected."""
    simulator.state.faults.on("stall_before_headers")
    with post(proxy, stream=False, version="1.0") as client:
        assert b"" == client.recv(1)
    assert proxy.wait_for_record().client_gone
