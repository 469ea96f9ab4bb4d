"""Clients that disconnect as soon as they have the last event."""

import json
import socket
from typing import Any
from urllib.parse import urlsplit

import pytest

from copilot_proxy.simulator import Simulator
from tests.conftest import Proxy, settings_at

REQUESTS: dict[str, tuple[dict[str, Any], bytes]] = {
    "/v1/responses": ({"input": "Hi"}, b"event: response.completed"),
    "/v1/messages": (
        {"max_tokens": 100, "messages": [{"role": "user", "content": "Hi"}]},
        b"event: message_stop",
    ),
}
"""A request and the last event of its stream, by path."""


@pytest.mark.parametrize("model", ["gpt-5.5", "claude-opus-5", "gpt-4o"])
@pytest.mark.parametrize("path", REQUESTS)
def test_disconnecting_after_the_last_event(simulator: Simulator, path: str, model: str) -> None:
    """Codex disconnects on the last event, which is not recorded as a disconnect."""
    request, end = REQUESTS[path]
    body = json.dumps({"model": model, "stream": True, **request}).encode()
    head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}\r\n\r\n"
    with Proxy(settings_at(simulator)) as proxy:
        address = urlsplit(proxy.url)
        with socket.create_connection((address.hostname or "", address.port or 0), 60) as conn:
            conn.sendall(head.encode() + body)
            read = b""
            while end not in read:
                read += conn.recv(65536)
        record = proxy.wait_for_record()

    assert not record.client_gone
    assert record.usage is not None
