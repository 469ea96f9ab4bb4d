"""WebSocket messages and handshakes that normal clients do not send."""

import json

import pytest
from websockets.exceptions import InvalidStatus

from tests.conftest import Proxy
from tests.routes.test_web_socket import NATIVE, TRANSLATED, opened, text_of


@pytest.mark.parametrize("model", [NATIVE, TRANSLATED])
@pytest.mark.parametrize(
    ("start", "written", "read"),
    [
        ("", "\\ud83d first", "\ufffd first"),
        ("", "\\ude00 second", "\ufffd second"),
        ("\ufeff", "a mark", "a mark"),
        ("\ufeff", "\\ud83d", "\ufffd"),
    ],
)
def test_json_that_is_accepted_over_http(
    proxy: Proxy, model: str, start: str, written: str, read: str
) -> None:
    """Half a surrogate pair or a byte order mark in a message is accepted, as over HTTP."""
    with opened(proxy) as one:
        one.connection.send(
            f'{start}{{"type":"response.create","model":"{model}","input":"{written}"}}'
        )
        answer = text_of(one.events())

    assert answer.endswith(f"You said: {read}")


@pytest.mark.parametrize("path", ["/health", "/v1/chat/completions"])
def test_a_path_without_web_sockets(proxy: Proxy, path: str) -> None:
    """The refusal names the path that has WebSockets."""
    with pytest.raises(InvalidStatus) as refused, opened(proxy, path):
        pass

    error = json.loads(refused.value.response.body or b"")["error"]
    assert f"{path} has no WebSocket" in error["message"]
    assert "/v1/responses" in error["hint"]
