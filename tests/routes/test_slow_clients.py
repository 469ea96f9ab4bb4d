"""Clients that send headers or bodies slowly, or not at all.

These tests do not measure time. They wait for timeouts that must occur; to show that a timeout does
not occur, they wait until a slow client that connected later has timed out.
"""

import json
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from copilot_proxy.simulator import Simulator
from tests.conftest import Proxy, settings_at

CHAT = json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}).encode()
PATH = "/v1/chat/completions"
HEALTH = b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n"
TIMEOUT = 0.5


@pytest.fixture
def hasty(simulator: Simulator) -> Iterator[Proxy]:
    """A server with a short receive timeout."""
    with Proxy(settings_at(simulator, receive_timeout=TIMEOUT)) as running:
        yield running


def connected(proxy: Proxy) -> socket.socket:
    address = urlsplit(proxy.url)
    return socket.create_connection((address.hostname or "", address.port or 0), 60)


def head(size: int, path: str = PATH, more: str = "") -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nhost: localhost\r\n{more}content-length: {size}\r\n\r\n"
    ).encode()


def all_of(conn: socket.socket) -> bytes:
    """Return everything received until the server closes the connection."""
    read = b""
    while part := conn.recv(65536):
        read += part
    return read


def answered(conn: socket.socket) -> bytes:
    """Read one response with a Content-Length; return its status line and headers."""
    read = b""
    while b"\r\n\r\n" not in read:
        read += conn.recv(65536)
    start, _, body = read.partition(b"\r\n\r\n")
    size = int(start.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
    while len(body) < size:
        body += conn.recv(65536)
    return start


def wait_for_a_timeout(proxy: Proxy) -> None:
    """Wait until a client that connects now has timed out."""
    with connected(proxy) as conn:
        conn.sendall(b"GET ")
        assert b"408" in all_of(conn)


@pytest.mark.parametrize("sent", [b"", b"G", b"GET /health HTTP/1.1\r\nhost: local", b"\r\n"])
def test_incomplete_headers(hasty: Proxy, sent: bytes) -> None:
    """A client that sends nothing is disconnected; after incomplete headers, it gets a 408."""
    with connected(hasty) as conn:
        conn.sendall(sent)
        said = all_of(conn)

    if not sent:
        assert said == b""
        return
    start, _, body = said.partition(b"\r\n\r\n")
    error = json.loads(body)["error"]
    assert start.startswith(b"HTTP/1.1 408 ")
    assert "request_timeout" == error["code"]
    assert "COPILOT_PROXY_RECEIVE_TIMEOUT" in error["hint"]


def test_a_byte_at_a_time(hasty: Proxy) -> None:
    """Sending single bytes does not extend the timeout."""
    with connected(hasty) as conn:
        conn.settimeout(TIMEOUT / 20)
        said = b""
        for byte in b"GET /health HTTP/1.1\r\nx: " + b"y" * 1000:
            conn.sendall(bytes([byte]))
            try:
                said = conn.recv(1000)
                break
            except TimeoutError:
                continue

    assert b"408" in said


@pytest.mark.parametrize("path", [PATH, "/v1/messages", "/v1/embeddings"])
@pytest.mark.parametrize("more", ["", "expect: 100-continue\r\n"])
def test_an_incomplete_body(hasty: Proxy, simulator: Simulator, path: str, more: str) -> None:
    """A body that does not arrive gets a 408 in the API's format, and the connection is closed."""
    with connected(hasty) as conn:
        conn.sendall(head(len(CHAT), path, more) + CHAT[:20])
        said = all_of(conn)

    start, _, body = said.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n").partition(b"\r\n\r\n")
    error = json.loads(body)["error"]
    assert start.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in start
    assert "request_timeout" == error["code"]
    assert "COPILOT_PROXY_RECEIVE_TIMEOUT" in error["hint"]
    assert [] == simulator.state.requests


def test_an_incomplete_chunked_body(hasty: Proxy) -> None:
    """A chunked body that does not arrive is treated the same way."""
    start = head(0, more="transfer-encoding: chunked\r\n").replace(b"content-length: 0\r\n", b"")
    with connected(hasty) as conn:
        conn.sendall(start + b"5\r\n{    \r\n")
        assert b"request_timeout" in all_of(conn)


def test_a_large_body_over_a_slow_connection(hasty: Proxy) -> None:
    """As more of a large body arrives, the server allows more time."""
    body = CHAT + b" " * 2_000_000
    with connected(hasty) as conn:
        conn.sendall(head(len(body)) + body[:-1])
        wait_for_a_timeout(hasty)
        wait_for_a_timeout(hasty)
        conn.sendall(body[-1:])
        assert answered(conn).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("start", "status"),
    [
        (head(1000, "/nowhere"), b"404"),
        (head(10**9), b"413"),
        (head(1000).replace(b"localhost", b"evil.example"), b"403"),
    ],
)
def test_the_rest_of_a_refused_body(hasty: Proxy, start: bytes, status: bytes) -> None:
    """After an early error, the server does not wait for the rest of the body."""
    with connected(hasty) as conn:
        conn.sendall(start)
        assert status in answered(conn)
        assert b"" == all_of(conn)


def test_idle_connections_are_kept(hasty: Proxy) -> None:
    """A connection that is idle between two requests stays open."""
    with connected(hasty) as conn:
        for _ in range(3):
            conn.sendall(HEALTH)
            assert b"200 OK" in answered(conn)
            wait_for_a_timeout(hasty)


def test_empty_lines_are_not_idle(hasty: Proxy) -> None:
    """A connection on which only empty lines arrive times out."""
    with connected(hasty) as conn:
        conn.sendall(HEALTH)
        answered(conn)
        conn.sendall(b"\r\n")
        assert b"408" in all_of(conn)


def test_half_a_second_request(hasty: Proxy) -> None:
    """The timeout applies to every request on a connection."""
    with connected(hasty) as conn:
        conn.sendall(HEALTH)
        answered(conn)
        conn.sendall(HEALTH[:30])
        assert b"408" in all_of(conn)


def test_an_answer_may_take_long(hasty: Proxy, simulator: Simulator) -> None:
    """The timeout applies to requests only: an answer may take longer, whatever else arrives."""
    simulator.state.faults.on("stall_mid_stream", value=3 * TIMEOUT)
    body = CHAT.replace(b"{", b'{"stream":true,', 1)
    with connected(hasty) as conn:
        conn.sendall(head(len(body)) + body + b"GET /hea")
        said = all_of(conn)

    assert b"data: [DONE]" in said
    assert b"request_timeout" in said.rpartition(b"connection: close")[2]
