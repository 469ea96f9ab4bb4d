"""Errors in Anthropic's format."""

from typing import Any

import msgspec
import pytest

from copilot_proxy.errors import CopilotProxyError, NotSignedIn, RequestError
from copilot_proxy.formats.messages.errors import error_body, error_event
from copilot_proxy.formats.upstream_errors import parse_error_event, parse_error_response
from tests.formats.messages.samples import recorded


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (408, "timeout_error"),
        (413, "request_too_large"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (502, "api_error"),
        (503, "overloaded_error"),
        (504, "timeout_error"),
        (529, "overloaded_error"),
        (599, "api_error"),
    ],
)
def test_each_status_has_its_type(status: int, expected: str) -> None:
    """Each status has the error type in Anthropic's reference."""
    error = CopilotProxyError("No.", status=status)

    assert {
        "type": "error",
        "error": {"type": expected, "message": "No."},
        "request_id": "req_1",
    } == error_body(error, "1")


def test_hints_are_sent_and_secrets_masked() -> None:
    """The error has the hint and the upstream's own fields; tokens are masked in all texts."""
    error = RequestError(
        "Bad ghu_0123456789.",
        hint="Not Bearer abcdefghijkl.",
        extra={"upstream": {"status": 400}, "message": "never"},
    )

    assert {
        "type": "error",
        "error": {
            "type": "invalid_request_error",
            "message": "Bad ***. Not Bearer ***",
            "hint": "Not Bearer ***",
            "upstream": {"status": 400},
        },
        "request_id": "req_7",
    } == error_event(error, "req_7")


def test_a_user_who_is_not_signed_in() -> None:
    """A user who is not signed in gets an authentication error that says how to sign in."""
    body = error_body(NotSignedIn(), "x")["error"]

    assert ("authentication_error", "Sign in with: copilot-proxy login") == (
        body["type"],
        body["hint"],
    )


TOKEN_COUNT = {"message": "prompt token count of 138898 exceeds the limit of 128000"}
TOO_LONG = "prompt is too long: 138898 tokens > 128000 maximum"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (recorded("errors-400-token"), "prompt is too long: 210000 tokens > 200000 maximum"),
        ({"error": {**TOKEN_COUNT, "code": "model_max_prompt_tokens_exceeded"}}, TOO_LONG),
        (
            {"error": {"message": "Your input exceeds the context window of this model."}},
            "prompt is too long: Your input exceeds the context window of this model.",
        ),
    ],
)
def test_a_prompt_that_is_too_long(body: Any, expected: str) -> None:
    """The client gets a message that makes it compact the chat, whatever Copilot's message is."""
    error = parse_error_response(400, {}, msgspec.json.encode(body))
    details = error_body(error, "x")["error"]

    assert ("invalid_request_error", expected) == (details["type"], details["message"])


def test_claudes_own_error_type_is_kept() -> None:
    """An overload reported in an event keeps its type, and has Anthropic's status for it."""
    error = parse_error_event({"error": {"type": "overloaded_error", "message": "Overloaded"}})
    details = error_body(error, "x")["error"]

    assert (529, "overloaded_error") == (error.status, details["type"])
    assert 200 == details["upstream"]["status"]
