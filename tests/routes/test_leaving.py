"""Clients that leave as soon as they have what they came for."""

import json
import socket
from urllib.parse import urlsplit

import pytest

from copilot_proxy.simulator import Simulator
from tests.conftest import Proxy, settings_at

ASKED = {
    "/v1/responses": ({"input": "Hi"}, b"event: response.completed"),
    "/v1/messages": (
        {"max_tokens": 100, "messages": [{"role": "user", "content": "Hi"}]},
        b"event: message_stop",
    ),
}
"""What is sent to each path, and the event with which its streams end."""


@pytest.mark.parametrize("model", ["gpt-5.5", "claude-opus-5", "gpt-4o"])
@pytest.mark.parametrize("path", ASKED)
def test_a_client_that_has_it_all_may_leave(simulator: Simulator, path: str, model: str) -> None:
    """Codex closes the connection on the last event; that is no answer broken off by the client."""
    asked, end = ASKED[path]
    body = json.dumps({"model": model, "stream": True, **asked}).encode()
    head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}\r\n\r\n"
    with Proxy(settings_at(simulator)) as proxy:
        address = urlsplit(proxy.url)
        with socket.create_connection((address.hostname or "", address.port or 0), 10) as conn:
            conn.sendall(head.encode() + body)
            read = b""
            while end not in read:
                read += conn.recv(65536)
        record = proxy.wait_for_record()

    assert not record.client_gone
    assert record.usage is not None
