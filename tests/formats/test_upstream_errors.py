"""How Copilot's errors are reported to clients: a table of statuses and codes."""

import json
from typing import Any

import pytest

from copilot_proxy.formats.upstream_errors import parse_error_event, parse_error_response
from tests.conftest import recorded_json


def coded(code: Any, message: str = "No.", **more: Any) -> bytes:
    """Return the usual body of an error."""
    return json.dumps({"error": {"message": message, "code": code, **more}}).encode()


BAD = "invalid_request_error"
LIMIT = "rate_limit_error"
QUOTA = "insufficient_quota"
SERVER = "server_error"


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        # status, type, code, param
        (400, coded("model_not_supported", "The requested model is not supported.", param="model",
                    type=BAD), (404, BAD, "model_not_found", "model")),
        (403, coded("model_not_supported"), (404, BAD, "model_not_found", "model")),
        (400, coded("unsupported_api_for_model",
                    'model "x" is not accessible via the /chat/completions endpoint'),
         (400, BAD, "unsupported_api_for_model", "model")),
        (400, coded("", 'model "x" is not accessible via the /chat/completions endpoint'),
         (400, BAD, "unsupported_api_for_model", "model")),
        (400, coded("model_max_prompt_tokens_exceeded", "prompt token count of 2 exceeds"),
         (400, BAD, "context_length_exceeded", "messages")),
        (400, coded("", "prompt token count of 138898 exceeds the limit of 128000", type=""),
         (400, BAD, "context_length_exceeded", "messages")),
        (400, coded(None, "prompt is too long: 210000 tokens > 200000 maximum"),
         (400, BAD, "context_length_exceeded", "messages")),
        (400, coded("context_length_exceeded", "Your input exceeds the context window."),
         (400, BAD, "context_length_exceeded", "messages")),
        (400, b"Your input exceeds the context window of this model.",
         (400, BAD, "context_length_exceeded", "messages")),
        (400, coded("invalid_request_body", "invalid request body"),
         (400, BAD, "invalid_request_body", None)),
        (400, coded("invalid_reasoning_effort", 'reasoning_effort "xhigh" is not supported'),
         (400, BAD, "invalid_reasoning_effort", "reasoning_effort")),
        (400, coded("", "missing required Copilot-Vision-Request header for vision requests",
                    param="", type=""), (400, BAD, None, None)),
        (400, b"bad request: missing Editor-Version header for IDE auth\n",
         (400, BAD, None, None)),
        (400, b"bad request: unknown Editor-Version header for IDE auth\n",
         (400, BAD, None, None)),
        (400, b"bad request: Authorization header is badly formatted\n",
         (401, "authentication_error", None, None)),
        (400, coded("previous_response_not_found"),
         (400, BAD, "previous_response_not_found", None)),
        (400, coded("off_topic"), (400, BAD, "off_topic", None)),
        (400, coded("rate_limited"), (429, LIMIT, "rate_limit_exceeded", None)),
        (400, b"Bad Request\n", (400, BAD, None, None)),
        (400, coded("content_filter"), (400, BAD, "content_filter", None)),
        (401, b"IDE token expired: unauthorized: token expired\n",
         (401, "authentication_error", None, None)),
        (401, b'{"authorize_url":"https://github.com/login/oauth/x"}',
         (401, "authentication_error", None, None)),
        (402, coded("quota_exceeded", "You have no quota"), (402, QUOTA, QUOTA, None)),
        (402, b"quota exceeded\n", (402, QUOTA, QUOTA, None)),
        (402, b"", (402, QUOTA, QUOTA, None)),
        (400, b"Quota exceeded.", (402, QUOTA, QUOTA, None)),
        (402, coded("overage_limit_reached"), (402, QUOTA, QUOTA, None)),
        (402, coded("billing_not_configured"), (402, QUOTA, QUOTA, None)),
        (402, coded("additional_spend_limit_reached"), (402, QUOTA, QUOTA, None)),
        (402, coded("custom_billing_not_configured"), (402, QUOTA, QUOTA, None)),
        (402, coded("session_quota_exceeded:pro"), (402, QUOTA, QUOTA, None)),
        (400, coded("request_too_large"), (413, BAD, "request_too_large", None)),
        (400, coded(None, "input length and `max_tokens` exceed context limit: 9 + 2 > 10"),
         (400, BAD, "context_length_exceeded", "messages")),
        (400, coded(None, "This model's maximum context length is 8192 tokens."),
         (400, BAD, "context_length_exceeded", "messages")),
        (400, coded(400, "The input token count (1200000) exceeds the maximum"),
         (400, BAD, "context_length_exceeded", "messages")),
        (403, coded("quota_exceeded"), (402, QUOTA, QUOTA, None)),
        (403, coded("free_quota_exceeded"), (402, QUOTA, QUOTA, None)),
        (403, coded("quota_exceeded:premium"), (402, QUOTA, QUOTA, None)),
        (400, coded("user_model_rate_limited:gpt-5.6"), (429, LIMIT, "rate_limit_exceeded", None)),
        (403, b"forbidden", (403, "permission_error", None, None)),
        (403, b"unauthorized: not authorized to use this Copilot feature\n",
         (403, "permission_error", None, None)),
        (404, coded("not_found"), (404, BAD, "not_found", None)),
        (404, b"404 page not found\n", (404, BAD, None, None)),
        (404, b"invalid apiVersion\n", (400, BAD, None, None)),
        (408, coded("user_request_timeout"), (408, SERVER, "user_request_timeout", None)),
        (408, b"", (408, SERVER, None, None)),
        (413, b"Request Entity Too Large", (413, BAD, None, None)),
        (413, coded("", "failed to parse request"), (413, BAD, None, None)),
        (415, b"", (400, BAD, "content_filter", None)),
        (421, b"Misdirected Request", (400, BAD, None, None)),
        (422, b"filtered", (400, BAD, "content_filter", None)),
        (424, b"agent failed", (400, BAD, None, None)),
        (429, coded("rate_limited"), (429, LIMIT, "rate_limit_exceeded", None)),
        (429, coded("user_global_rate_limited"), (429, LIMIT, "rate_limit_exceeded", None)),
        (429, coded("user_global_rate_limited:pro"), (429, LIMIT, "rate_limit_exceeded", None)),
        (429, coded("user_model_rate_limited:gpt-5.6"), (429, LIMIT, "rate_limit_exceeded", None)),
        (429, coded("user_weekly_rate_limited"), (429, LIMIT, "rate_limit_exceeded", None)),
        (429, coded("integration_rate_limited"), (429, LIMIT, "rate_limit_exceeded", None)),
        (429, coded("agent_mode_limit_exceeded"), (429, LIMIT, "rate_limit_exceeded", None)),
        (429, coded("model_overloaded"), (429, LIMIT, "rate_limit_exceeded", None)),
        (429, coded("upstream_provider_rate_limit"), (429, LIMIT, "rate_limit_exceeded", None)),
        (429, coded("extension_blocked", type=LIMIT), (429, LIMIT, "rate_limit_exceeded", None)),
        (429, coded(429, "Resource exhausted"), (429, LIMIT, "rate_limit_exceeded", None)),
        (429, coded("429", "Resource exhausted"), (429, LIMIT, "rate_limit_exceeded", None)),
        (429, coded(429, "RESOURCE_EXHAUSTED: Quota exceeded for x"),
         (429, LIMIT, "rate_limit_exceeded", None)),
        (429, coded("brand_new"), (429, LIMIT, "rate_limit_exceeded", None)),
        (429, b"", (429, LIMIT, "rate_limit_exceeded", None)),
        (466, b"bad request: the specified API version is no longer supported.\n",
         (400, BAD, None, None)),
        (466, b"", (400, BAD, None, None)),
        (499, b"", (502, SERVER, None, None)),
        (500, b"Internal Server Error\n", (500, SERVER, None, None)),
        (500, coded("internal_error"), (500, SERVER, "internal_error", None)),
        (502, b"", (502, SERVER, None, None)),
        (503, b"busy", (503, SERVER, None, None)),
        (504, b"<html><title>504</title>", (504, SERVER, None, None)),
        (599, b"", (599, SERVER, None, None)),
        (600, b"", (502, SERVER, None, None)),
        (418, coded("teapot", param="pot"), (418, BAD, "teapot", "pot")),
    ],
)  # fmt: skip
def test_refusals(
    status: int, body: bytes, expected: tuple[int, str, str | None, str | None]
) -> None:
    """Each error has the status, type, code and param that OpenAI clients expect."""
    error = parse_error_response(status, {}, body)

    assert expected == (error.status, error.type, error.code, error.param)
    assert status == error.upstream_status
    assert error.message


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("errors-413", (413, "payload_too_large", "Prompt too large")),
        ("errors-429", (429, "rate_limit_exceeded", "Rate limit exceeded")),
    ],
)
def test_published_refusals(name: str, expected: tuple[int, str, str]) -> None:
    """Errors from public reports keep their message."""
    body = json.dumps(recorded_json(f"openai-chat-completions/{name}.json")).encode()
    error = parse_error_response(expected[0], {}, body)

    assert expected == (error.status, error.code, error.message)


def test_the_details_of_a_refusal_are_kept() -> None:
    """The client can see Copilot's own status and code, and GitHub's request id."""
    headers = {"x-github-request-id": "C0DE:1A2B"}
    error = parse_error_response(402, headers, coded("quota_exceeded"))

    assert {
        "upstream": {"status": 402, "code": "quota_exceeded", "request_id": "C0DE:1A2B"}
    } == error.extra
    assert (402, "quota_exceeded") == (error.upstream_status, error.upstream_code)
    assert {"upstream": {"status": 502, "code": None}} == parse_error_response(502, {}, b"").extra


SIGNATURE = b'{"error": {"message": "Invalid signature in thinking block. The block is bound"}}'


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (401, b"", "copilot-proxy login"),
        (402, b"", "quota"),
        (402, coded("additional_spend_limit_reached"), "limit for additional spending"),
        (402, coded("billing_not_configured"), "Set up billing"),
        (402, coded("custom_billing_not_configured"), "administrator"),
        (402, coded("session_quota_exceeded"), "new conversation"),
        (403, b"forbidden", "copilot-proxy status"),
        (403, coded("model_not_supported"), "enable the model"),
        (403, b"Please review our [Terms of Service](https://x).", "Stop"),
        (429, coded("user_weekly_rate_limited", "Please review our Terms of Service."), "weekly"),
        (429, b"You've hit a rate limit. Please review our Terms of Service.", "Wait a while"),
        (413, b"", "smaller"),
        (408, b"", "Try again"),
        (422, b"", "filter"),
        (466, b"", "COPILOT_PROXY_EDITOR_VERSION"),
        (400, b"client not supported: x", "COPILOT_PROXY_API_VERSION"),
        (400, b"missing Editor-Version header for IDE auth", "COPILOT_PROXY_EDITOR_VERSION"),
        (400, b"missing required Copilot-Vision-Request header", "vision"),
        (400, b'{"error": {"message": "image media type not supported"}}', "PNG"),
        (400, SIGNATURE, "reasoning from another model"),
        (503, b"", "busy"),
        (421, b"", "copilot-proxy status"),
        (400, coded("model_max_prompt_tokens_exceeded"), "Shorten"),
        (400, coded("previous_response_not_found"), "whole conversation"),
        (400, b"Bad Request", "message"),
        (404, b"", "copilot-proxy models"),
        (404, b"404 page not found\n", "COPILOT_PROXY_COPILOT_API_URL"),
        (404, b"invalid apiVersion\n", "COPILOT_PROXY_API_VERSION"),
        (500, b"", "githubstatus.com"),
        (529, b"", "Try again"),
        (400, coded("", "Sorry, the question is off_topic."), "off topic"),
    ],
)
def test_hints_say_what_to_do(status: int, body: bytes, words: str) -> None:
    """The hint names the next step; a 429 that mentions the terms is an ordinary rate limit."""
    assert words in str(parse_error_response(status, {}, body).hint)


def test_terms_in_a_rate_limit_do_not_mean_a_blocked_account() -> None:
    """Rate limits mention GitHub's terms; only a 403 that does so means a blocked account."""
    error = parse_error_response(429, {}, b"Please review our [Terms of Service](https://x).")

    assert "Stop" not in str(error.hint)
    assert (429, LIMIT) == (error.status, error.type)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("rate_limited", (429, LIMIT)),
        ("rate_limit_error", (429, LIMIT)),
        ("cyber_policy", (400, BAD)),
        ("invalid_request_error", (400, BAD)),
        ("bad_request:gpt-5.6", (400, BAD)),
        ("not_found", (404, BAD)),
        ("server_error", (502, SERVER)),
        ("service_unavailable", (503, SERVER)),
        ("moon_phase", (502, SERVER)),
        (None, (502, SERVER)),
    ],
)
def test_an_error_event_in_a_stream(code: str | None, expected: tuple[int, str]) -> None:
    """An error event is parsed like an error response, and SDKs do not retry it."""
    error = parse_error_event({"error": {"message": "Overloaded", "code": code}})

    assert expected == (error.status, error.type)
    assert "Overloaded" == error.message
    assert "false" == error.headers["x-should-retry"]


SESSION = "You have reached your session limit. Please retry after 840 seconds."


@pytest.mark.parametrize(
    ("status", "message", "expected"),
    [
        (429, SESSION, "840"),
        (429, "Sorry, you've hit a rate limit. Please try again in 58 hours. Please", "208800"),
        (429, "Try again in 1 hour and 5 minutes.", "3900"),
        (429, "please try again in 1m30.2s", "91"),
        (429, "Please wait 2 days, 3 hours before", "183600"),
        (429, "wait for about 10 minutes", "600"),
        (400, SESSION, None),
        (500, SESSION, None),
        (429, "You made 840 requests in 60 seconds; the limit is 10 per minute.", None),
        (429, "Please try again in a few minutes.", None),
    ],
)
def test_the_time_to_wait_in_words(status: int, message: str, expected: str | None) -> None:
    """A rate limit gets a Retry-After even if only its message says how long to wait."""
    error = parse_error_response(
        status, {}, coded("user_global_rate_limited:pro" if status == 429 else None, message)
    )

    assert expected == error.headers.get("retry-after")
    assert (expected is not None) == (f"{expected} s" in str(error.hint))


def test_the_header_wins_over_the_words() -> None:
    """The message is only parsed if no header or field says how long to wait."""
    for headers, fields in (({"retry-after": "7"}, {}), ({}, {"retry_after": 7})):
        error = parse_error_response(429, headers, coded("rate_limited", SESSION, **fields))
        assert "7" == error.headers["retry-after"]
    assert (
        "840"
        == parse_error_response(
            429, {"retry-after": "soon"}, coded("rate_limited", SESSION)
        ).headers["retry-after"]
    )


def test_a_wait_without_end() -> None:
    """A wait of more than a month must be a mistake, since every quota is renewed by then."""
    for wait in ("9" * 20, "Fri, 31 Dec 9999 23:59:59 GMT"):
        error = parse_error_response(429, {"retry-after": wait}, coded("rate_limited", "Slow down"))

        assert str(31 * 24 * 3600) == error.headers["retry-after"]


def test_no_wait() -> None:
    """A wait of zero, or one in the past, is passed on, but not mentioned in the hint."""
    error = parse_error_response(429, {"retry-after": "0"}, coded("rate_limited", "Slow down"))

    assert "0" == error.headers["retry-after"]
    assert "Wait a while" in str(error.hint)


def test_a_page_that_an_agent_of_github_requires_is_named() -> None:
    """The hint contains only the address of the page, since signing in again would not help."""
    body = b'{"authorize_url":"https://github.com/login/oauth/authorize?client_id=x"}'
    error = parse_error_response(401, {}, body)

    assert "https://github.com/login/oauth/authorize?client_id=x" in error.message
    assert "copilot-proxy login" not in str(error.hint)
