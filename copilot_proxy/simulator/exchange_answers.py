"""The answers of the token exchange that can be ordered from the simulator, as data."""

from __future__ import annotations

import time

from . import refusal
from .fault_answers import Answer, Value
from .refusal import Refusal


def _rate_limited() -> Refusal:
    answer = refusal.github(403, "API rate limit exceeded for user ID 12345.")
    answer.headers |= {
        "x-ratelimit-limit": "5000",
        "x-ratelimit-remaining": "0",
        "x-ratelimit-reset": str(int(time.time()) + 600),
    }
    return answer


def _without_token(value: Value) -> Refusal:
    return Refusal(200, {"sku": "monthly_subscriber_quota"}, content_type=refusal.JSON)


EXCHANGE_ANSWERS: dict[str, Answer] = {
    "exchange_401": Answer(
        "the exchange says 401 Bad credentials",
        lambda value: refusal.github(401, "Bad credentials"),
    ),
    "exchange_403": Answer(
        "the exchange refuses the account; the value is a notification id",
        lambda value: refusal.no_access(str(value or "no_copilot_access"), "mona"),
    ),
    "exchange_404": Answer(
        "the exchange says Not Found, as to tokens of foreign apps",
        lambda value: refusal.github(404, "Not Found"),
    ),
    "exchange_rate_limit": Answer(
        "the exchange meets the rate limit of GitHub's REST API",
        lambda value: _rate_limited(),
    ),
    "exchange_500": Answer(
        "the exchange fails with 500; the value is another status",
        lambda value: refusal.github(int(value or 500), "Server Error"),
    ),
    "exchange_html": Answer(
        "the exchange answers with a page for people; the value is its status",
        lambda value: refusal.html(int(value or 502)),
    ),
    "exchange_missing_fields": Answer("the exchange says 200 without a token", _without_token),
    "exchange_empty": Answer(
        "the exchange says 200 with an empty body",
        lambda value: Refusal(200, "", content_type=refusal.JSON),
    ),
}
"""Name of an ordered answer of the token exchange -> what it means and how it reads."""
