"""Clients that dawdle: with the head of a request, with its body, with what nobody wants of it.

None of these tests measures time: what is timed out is waited for, and what must not be is tried
when a dawdler that began later has been.
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
PATIENCE = 0.2


@pytest.fixture
def hasty(simulator: Simulator) -> Iterator[Proxy]:
    """A server of little patience."""
    with Proxy(settings_at(simulator, receive_timeout=PATIENCE)) as running:
        yield running


def connected(proxy: Proxy) -> socket.socket:
    address = urlsplit(proxy.url)
    return socket.create_connection((address.hostname or "", address.port or 0), 10)


def head(size: int, path: str = PATH, more: str = "") -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nhost: localhost\r\n{more}content-length: {size}\r\n\r\n"
    ).encode()


def all_of(conn: socket.socket) -> bytes:
    """Everything that comes until the server hangs up."""
    read = b""
    while part := conn.recv(65536):
        read += part
    return read


def answered(conn: socket.socket) -> bytes:
    """One whole answer that has a length."""
    read = b""
    while b"\r\n\r\n" not in read:
        read += conn.recv(65536)
    start, _, body = read.partition(b"\r\n\r\n")
    size = int(start.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
    while len(body) < size:
        body += conn.recv(65536)
    return start


def wait_for_a_dawdler(proxy: Proxy) -> None:
    """Until a client that begins now has been timed out."""
    with connected(proxy) as conn:
        conn.sendall(b"GET ")
        assert b"408" in all_of(conn)


@pytest.mark.parametrize("sent", [b"", b"G", b"GET /health HTTP/1.1\r\nhost: local", b"\r\n"])
def test_half_a_head(hasty: Proxy, sent: bytes) -> None:
    """Who says nothing after connecting, or half of what it wants, is told so and let go."""
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
    """A byte now and then does not buy more time."""
    with connected(hasty) as conn:
        conn.settimeout(PATIENCE / 20)
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
def test_half_a_body(hasty: Proxy, simulator: Simulator, path: str, more: str) -> None:
    """A body that does not come is told in the client's shape, and the connection is closed."""
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


def test_half_a_chunked_body(hasty: Proxy) -> None:
    """The same for a body without a length."""
    start = head(0, more="transfer-encoding: chunked\r\n").replace(b"content-length: 0\r\n", b"")
    with connected(hasty) as conn:
        conn.sendall(start + b"5\r\n{    \r\n")
        assert b"request_timeout" in all_of(conn)


def test_an_honest_large_body(hasty: Proxy) -> None:
    """A large body has more time the more of it has come."""
    body = CHAT + b" " * 2_000_000
    with connected(hasty) as conn:
        conn.sendall(head(len(body)) + body[:-1])
        wait_for_a_dawdler(hasty)
        wait_for_a_dawdler(hasty)
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
def test_the_rest_of_a_body_that_nobody_wants(hasty: Proxy, start: bytes, status: bytes) -> None:
    """Who has its answer and still owes a body is not waited for."""
    with connected(hasty) as conn:
        conn.sendall(start)
        assert status in answered(conn)
        assert b"" == all_of(conn)


def test_idle_connections_are_kept(hasty: Proxy) -> None:
    """A client that rests between two requests finds its connection open."""
    with connected(hasty) as conn:
        for _ in range(3):
            conn.sendall(HEALTH)
            assert b"200 OK" in answered(conn)
            wait_for_a_dawdler(hasty)


def test_nothing_of_sense_is_no_rest(hasty: Proxy) -> None:
    """Empty lines do not keep a connection for ever."""
    with connected(hasty) as conn:
        conn.sendall(HEALTH)
        answered(conn)
        conn.sendall(b"\r\n")
        assert b"408" in all_of(conn)


def test_half_a_second_request(hasty: Proxy) -> None:
    """The patience is the same for every request of a connection."""
    with connected(hasty) as conn:
        conn.sendall(HEALTH)
        answered(conn)
        conn.sendall(HEALTH[:30])
        assert b"408" in all_of(conn)


def test_an_answer_may_take_long(hasty: Proxy, simulator: Simulator) -> None:
    """The patience is for the request alone: an answer is waited for, whatever else arrives."""
    simulator.state.faults.on("stall_mid_stream", value=3 * PATIENCE)
    body = CHAT.replace(b"{", b'{"stream":true,', 1)
    with connected(hasty) as conn:
        conn.sendall(head(len(body)) + body + b"GET /hea")
        said = all_of(conn)

    assert b"data: [DONE]" in said
    assert b"request_timeout" in said.rpartition(b"connection: close")[2]
