"""A conversation continues without the encrypted parts that Copilot cannot decrypt."""

import json
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from copilot_proxy.formats.responses.request_to_chat import to_chat
from copilot_proxy.formats.types import ResponsesRequest
from copilot_proxy.settings import load_settings
from copilot_proxy.simulator import SIMULATED_TOKEN, catalogue
from tests.conftest import Proxy
from tests.http_server import HttpServer

SEALED = "gAAAAB-of-another-session"
USER = {"role": "user", "content": "Hello"}
AGAIN = {"role": "user", "content": "And now?"}
CALL = {"type": "function_call", "call_id": "call_1", "name": "ask_agent", "arguments": "{}"}
RESULT = {
    "type": "function_call_output",
    "call_id": "call_1",
    "output": [
        {"type": "encrypted_content", "encrypted_content": SEALED},
        {"type": "input_text", "text": "It is done."},
    ],
}
REASONING = {"type": "reasoning", "summary": [], "encrypted_content": SEALED}
COMPACTION = {"type": "compaction", "encrypted_content": SEALED}
OTHER_CONNECTION = "input item ID does not belong to this connection"
REFUSALS = {
    "a result": (
        400,
        [USER, CALL, RESULT, AGAIN],
        "invalid_request_body",
        "Encrypted function output content could not be decrypted or decoded.",
    ),
    "reasoning": (
        400,
        [USER, REASONING, {"role": "assistant", "content": "Hi"}, AGAIN],
        "bad_request",
        "The encrypted content gAAA...on== could not be verified. "
        "Reason: Encrypted content could not be decrypted or parsed.",
    ),
    "a compaction": (
        400,
        [COMPACTION, AGAIN],
        "bad_request",
        "The encrypted content for item cmp_0123 could not be verified. "
        "Reason: Encrypted content could not be decrypted or parsed.",
    ),
    "reasoning of another connection": (400, [USER, REASONING, AGAIN], "", OTHER_CONNECTION),
    "the same with another status": (401, [USER, REASONING, AGAIN], "", OTHER_CONNECTION),
}


class Copilot(HttpServer):
    """Imitates GitHub, and a Copilot that refuses requests containing `SEALED`."""

    def __init__(self) -> None:
        super().__init__()
        self.bodies: list[str] = []
        self.refusal = (400, "", "")

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer like the real service."""
        body = handler.rfile.read(int(handler.headers.get("content-length") or 0)).decode()
        if handler.path == "/responses":
            self.bodies.append(body)
            is_refused = SEALED in body
            _, code, message = self.refusal
            content: Any = {"id": "r", "object": "response", "status": "completed", "output": []}
            if is_refused:
                content = {"error": {"message": message, "code": code}}
        else:
            is_refused = False
            content = {
                "/models": {"data": catalogue.load("2026-11")},
                "/copilot_internal/v2/token": {
                    "token": "tid=1;exp=1:mac",
                    "expires_at": time.time() + 1800,
                    "refresh_in": 1500,
                    "endpoints": {"api": self.url},
                },
            }[handler.path]
        handler.send_response(self.refusal[0] if is_refused else 200)
        handler.send_header("content-type", "application/json")
        handler.end_headers()
        handler.wfile.write(json.dumps(content).encode())


@pytest.fixture
def copilot() -> Iterator[Copilot]:
    with Copilot() as copilot:
        yield copilot


@pytest.mark.parametrize("name", REFUSALS)
def test_parts_that_cannot_be_decrypted(copilot: Copilot, name: str) -> None:
    """Once Copilot has refused an encrypted part, the part is dropped and the rest is sent again.

    The next request in the conversation is not refused.
    """
    status, items, code, message = REFUSALS[name]
    copilot.refusal = (status, code, message)
    settings = load_settings(
        {
            "github_url": copilot.url,
            "github_api_url": copilot.url,
            "github_token": SIMULATED_TOKEN,
            "ledger": False,
        }
    )
    body = {"model": "gpt-5.6-sol", "input": items}
    with Proxy(settings) as proxy, proxy.client() as client:
        for requests in (2, 3):
            answer = client.post("/v1/responses", json=body)

            assert 200 == answer.status_code, answer.text
            assert "Copilot refused it" in answer.headers["x-copilot-proxy-notes"]
            assert requests == len(copilot.bodies)
            sent = json.loads(copilot.bodies[-1])["input"]
            assert SEALED not in copilot.bodies[-1]
            assert "And now?" in str(sent[-1])
            if name == "a result":
                assert "It is done." in str(sent[2])
                assert "is encrypted" in str(sent[2])


def test_a_result_for_another_model() -> None:
    """A model on another API gets the readable part of a result, and a note says so."""
    notes: list[str] = []
    request = ResponsesRequest({"model": "claude", "input": [USER, CALL, RESULT, AGAIN]})

    chat = to_chat(request, notes)

    result = next(message for message in chat["messages"] if message["role"] == "tool")
    assert "It is done." in str(result)
    assert SEALED not in str(chat)
    assert ["dropped the encrypted part of a result: the model cannot read it"] == notes
