"""Error responses: their formats, the errors that clients may retry, and the data to hide."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot_proxy.formats import upstream_errors
from copilot_proxy.formats.chat_completions.errors import error_body
from copilot_proxy.formats.upstream_errors import parse_error_response
from tests.formats.openai_schemas import check_error
from tests.selection import every_value, examples

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def a_fixed_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream_errors, "time", NOW.timestamp)


def body_of(data: Any) -> bytes:
    return json.dumps(data).encode()


INNER = json.dumps({"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "Quota."}})


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(b'{"error":{"message":"No.","code":"c"}}', ("No.", "c"), id="usual"),
        pytest.param(b' {"error":{"message":"No.","code":"c"}}\n', ("No.", "c"), id="white space"),
        pytest.param(b'{"error":{"message":"No.","code":""}}', ("No.", None), id="empty code"),
        pytest.param(
            b'{"error":{"message":"No.","code":"","type":"","param":""}}', ("No.", None), id="empty"
        ),
        pytest.param(b'{"error":{"message":"No.","code":400}}', ("No.", None), id="a number"),
        pytest.param(b'{"error":{"message":"No.","code":" 400 "}}', ("No.", None), id="digits"),
        pytest.param(
            b'{"error":{"message":"No.","type":"invalid_request_error","param":"model",'
            b'"code":"model_x"}}',
            ("No.", "model_x"),
            id="all of OpenAI's keys",
        ),
        pytest.param(
            b'{"message":"Bad credentials","documentation_url":"https://docs","status":"401"}',
            ("Bad credentials", None),
            id="api.github.com",
        ),
        pytest.param(
            b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},'
            b'"request_id":"req_1"}',
            ("Overloaded", "overloaded_error"),
            id="Anthropic",
        ),
        pytest.param(b"Bad Request\n", ("Bad Request", None), id="text"),
        pytest.param(b'{"error":"No.","code":"c"}', ("No.", "c"), id="error as a text"),
        pytest.param(b'{"error":null,"message":"No."}', ("No.", None), id="error is null"),
        pytest.param(b'{"error":["No."]}', ("", None), id="error as a list"),
        pytest.param(body_of({"error": {"message": INNER}}), ("Quota.", "RESOURCE_EXHAUSTED"),
                     id="JSON in a text"),
        pytest.param(
            body_of({"error": {"message": INNER, "code": "429", "type": "x"}}),
            ("Quota.", "RESOURCE_EXHAUSTED"),
            id="JSON in a text with a code outside",
        ),
        pytest.param(
            body_of({"error": {"message": '{"message": "in"}', "code": "out"}}),
            ("in", "out"),
            id="JSON in a text without a code",
        ),
        pytest.param(
            b"<!DOCTYPE html><html><head><title>Unicorn!\n &middot; GitHub</title>",
            ("A web page was sent instead of a response (Unicorn! \N{MIDDLE DOT} GitHub).", None),
            id="page",
        ),
        pytest.param(
            b"<html><body>", ("A web page was sent instead of a response.", None), id="page 2"
        ),
        pytest.param(b"{broken", ("{broken", None), id="broken JSON"),
        pytest.param(b'["No."]', ('["No."]', None), id="a list"),
        pytest.param(b"\xff\xfe", ("\N{REPLACEMENT CHARACTER}" * 2, None), id="no UTF-8"),
        pytest.param(b"", ("", None), id="nothing"),
        pytest.param(b"{}", ("", None), id="empty object"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("content_type", ["text/plain; charset=utf-8", "application/json"])
def test_shapes(body: bytes, expected: tuple[str, str | None], content_type: str) -> None:
    """The message and code are found in every format, whatever the Content-Type."""
    error = parse_error_response(418, {"content-type": content_type}, body)
    silence = "Copilot answered with status 418 and no message."

    assert (expected[0] or silence, expected[1]) == (error.message, error.upstream_code)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0", "0"),
        ("30", "30"),
        (" 30 ", "30"),
        ("1.2", "2"),
        ("-5", "0"),
        ("183600", "183600"),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), "90"),
        (format_datetime((NOW + timedelta(seconds=90)).replace(tzinfo=None)), "90"),
        (format_datetime(NOW - timedelta(days=1), usegmt=True), "0"),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("9" * 400, None),
        ("Mon, 99 Nov 2026 00:00:00 GMT", None),
        ("Mon, 01 Jan 2001 00:00:00 +99999999999999", None),
    ],
)
def test_retry_after(value: str, expected: str | None) -> None:
    """Seconds or a date become whole seconds, rounded up; anything else is dropped."""
    assert expected == parse_error_response(429, {"retry-after": value}, b"").headers.get(
        "retry-after"
    )


@pytest.mark.parametrize(
    ("status", "body", "wait", "expected"),
    [
        (429, b"", None, None),
        (429, b"", "60", None),
        (429, b"", "61", "false"),
        (429, b"", "183600", "false"),
        (503, b"", "3600", "false"),
        (500, b"", None, None),
        (502, b"", None, None),
        (408, b"", None, None),
        (401, b"", None, "false"),
        (402, b"", None, "false"),
        (402, b"", "5", "false"),
        (403, b"", None, "false"),
        (403, b'{"error":{"code":"quota_exceeded","message":"x"}}', None, "false"),
        (413, b"", None, "false"),
        (415, b"", None, "false"),
        (421, b"", None, "false"),
        (422, b"", None, "false"),
        (424, b"", None, "false"),
        (429, b'{"error":{"code":"quota_exceeded","message":"x"}}', None, "false"),
        (429, b'{"error":{"code":"extension_blocked","message":"x"}}', None, "false"),
        (466, b"", None, "false"),
        (499, b"", None, "false"),
        (500, b"missing Editor-Version header for IDE auth", None, "false"),
        (500, b"Authorization header is badly formatted", None, "false"),
    ],
)
def test_whether_sdks_may_retry(
    status: int, body: bytes, wait: str | None, expected: str | None
) -> None:
    """`x-should-retry` is false if a retry is useless, or would wait for more than a minute."""
    headers = {} if wait is None else {"retry-after": wait}

    assert expected == parse_error_response(status, headers, body).headers.get("x-should-retry")


def test_the_limit_that_was_hit_is_passed_on() -> None:
    """The client receives GitHub's name for the limit, but none of GitHub's other headers."""
    headers = {"x-ratelimit-exceeded": "user_weekly", "set-cookie": "a=b", "x-request-id": "1"}

    assert {"x-ratelimit-exceeded": "user_weekly"} == parse_error_response(
        429, headers, b""
    ).headers


SECRETS = ["ghu_16C7e42F292c6912E7710c838347Ae178B4a", "tid=0f3c;exp=1795331400;sku=x:9f8e7d"]


@every_value
@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize(
    "answer",
    [
        "SECRET",
        "bad token SECRET was sent",
        "x" * 1990 + " SECRET",
        json.dumps({"message": "bad token SECRET"}),
        json.dumps({"error": {"message": "x", "code": "SECRET", "param": "SECRET"}}),
        json.dumps({"error": {"message": "x", "type": "SECRET"}}),
        json.dumps({"error": {"message": json.dumps({"message": "SECRET"})}}),
        "<html><title>SECRET</title>",
    ],
)
def test_tokens_are_masked(secret: str, answer: str) -> None:
    """A token anywhere in the error response does not reach the client."""
    error = parse_error_response(400, {}, answer.replace("SECRET", secret).encode())
    shown = json.dumps(error_body(error, "id"))

    assert secret[4:10] not in shown
    assert secret[-8:] not in shown


@pytest.mark.parametrize("length", range(1980, 2001))
def test_tokens_are_masked_before_a_message_is_cut(length: int) -> None:
    """Tokens are masked before a long message is cut, so no part of a token is left."""
    message = parse_error_response(400, {}, b"x" * length + b" " + SECRETS[0].encode()).message

    assert ("x" * length + " ***")[:2000] == message


def test_deeply_nested_json_strings() -> None:
    """Deeply nested JSON strings are parsed in bounded time."""
    text = "No."
    for _ in range(10):
        text = json.dumps({"error": {"message": text}})

    assert "No." in parse_error_response(400, {}, text.encode()).message


def test_long_texts_are_cut() -> None:
    """The message, code and param are cut to a maximum length."""
    long = "x" * 100_000
    error = parse_error_response(
        400, {}, body_of({"error": {"message": long, "code": long, "param": long}})
    )

    assert [2000, 200, 200] == [
        len(text) for text in (error.message, error.code or "", error.param or "")
    ]


@pytest.mark.parametrize(
    "body", [b'{"a":' * 100_000, b"[" * 100_000, b'{"a":' + b"9" * 5000 + b"}"]
)
def test_malicious_bodies(body: bytes) -> None:
    """JSON that is too deep or too large to be parsed is treated as text."""
    assert body[:50].decode() == parse_error_response(500, {}, body).message[:50]


@examples(100)
@given(
    st.integers(400, 700),
    st.one_of(
        st.binary(max_size=40),
        st.recursive(
            st.none() | st.integers() | st.text(max_size=5),
            lambda inner: (
                st.dictionaries(
                    st.sampled_from(["error", "message", "code", "type", "param", "status"]), inner
                )
                | st.lists(inner, max_size=2)
                | inner.map(json.dumps)
            ),
            max_leaves=5,
        ).map(body_of),
    ),
    st.dictionaries(
        st.sampled_from(["retry-after", "x-github-request-id", "x-ratelimit-exceeded"]),
        st.text(max_size=8),
    ),
)
def test_any_response_is_one_error(status: int, body: bytes, headers: dict[str, str]) -> None:
    """Any status, body and headers result in an error with all keys of OpenAI's error object."""
    error = parse_error_response(status, headers, body)

    assert 400 <= error.status < 600
    assert error.message
    assert error.code != ""
    check_error(error_body(error, "id"))
