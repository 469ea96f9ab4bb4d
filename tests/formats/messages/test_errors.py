"""Failures in Anthropic's shape."""

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
def test_each_status_has_its_word(status: int, expected: str) -> None:
    """A status reads as the type that Anthropic's reference gives it."""
    error = CopilotProxyError("No.", status=status)

    assert {
        "type": "error",
        "error": {"type": expected, "message": "No."},
        "request_id": "req_1",
    } == error_body(error, "1")


def test_what_helps_is_told_and_secrets_are_not() -> None:
    """The hint and upstream's own words go along; tokens are masked in every text."""
    error = RequestError(
        "Bad ghu_0123456789.",
        hint="Not Bearer abcdefghijkl.",
        extra={"upstream": {"status": 400}, "message": "never"},
    )

    assert {
        "type": "error",
        "error": {
            "type": "invalid_request_error",
            "message": "Bad ***.",
            "hint": "Not Bearer ***",
            "upstream": {"status": 400},
        },
        "request_id": "req_7",
    } == error_event(error, "req_7")


def test_sign_in_errors_read_as_authentication() -> None:
    """Who is not signed in gets Anthropic's authentication error, with the way out."""
    body = error_body(NotSignedIn(), "x")["error"]

    assert ("authentication_error", "Sign in with: copilot-proxy login") == (
        body["type"],
        body["hint"],
    )


COPILOTS_COUNT = {"message": "prompt token count of 138898 exceeds the limit of 128000"}
TOO_LONG = "prompt is too long: 138898 tokens > 128000 maximum"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (recorded("errors-400-token"), "prompt is too long: 210000 tokens > 200000 maximum"),
        ({"error": {**COPILOTS_COUNT, "code": "model_max_prompt_tokens_exceeded"}}, TOO_LONG),
        (
            {"error": {"message": "Your input exceeds the context window of this model."}},
            "prompt is too long: Your input exceeds the context window of this model.",
        ),
    ],
)
def test_a_prompt_too_long_is_said_so(body: Any, expected: str) -> None:
    """Whatever Copilot calls it, the client reads the words on which it compacts."""
    error = parse_error_response(400, {}, msgspec.json.encode(body))
    made = error_body(error, "x")["error"]

    assert ("invalid_request_error", expected) == (made["type"], made["message"])


def test_claudes_own_word_is_kept() -> None:
    """An overload that came as an event stays an overload, though the status was another."""
    error = parse_error_event({"error": {"type": "overloaded_error", "message": "Overloaded"}})

    assert "overloaded_error" == error_body(error, "x")["error"]["type"]
