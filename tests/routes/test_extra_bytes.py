"""Bytes after the body of a request."""

import json
import socket
from urllib.parse import urlsplit

import pytest

from tests.conftest import Proxy

BODY = json.dumps(
    {"model": "gpt-4o", "messages": [{"role": "user", "content": "Größe"}]}, ensure_ascii=False
)


def answer_to(proxy: Proxy, content_length: int, body: bytes, connection: str = "close") -> bytes:
    """Send a POST with this Content-Length; return all bytes until the connection closes."""
    address = urlsplit(proxy.url)
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n"
        f"connection: {connection}\r\ncontent-length: {content_length}\r\n\r\n"
    )
    with socket.create_connection((address.hostname or "", address.port or 0), 60) as conn:
        conn.sendall(head.encode() + body)
        return b"".join(iter(lambda: conn.recv(65536), b""))


@pytest.mark.parametrize("extra", [b"\r\n", b"\n\n"])
def test_line_breaks_are_ignored(proxy: Proxy, extra: bytes) -> None:
    """A line break after the body, which some clients send, is ignored (RFC 9112, section 2.2)."""
    body = BODY.encode()

    assert answer_to(proxy, len(body), body + extra).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("connection", ["close", "keep-alive"])
def test_a_length_in_characters(proxy: Proxy, connection: str) -> None:
    """If the body is longer than Content-Length, the error names the likely mistake."""
    answer = answer_to(proxy, len(BODY), BODY.encode(), connection)

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"bytes, not characters" in answer
