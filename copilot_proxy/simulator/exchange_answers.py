"""The faults of the token exchange: names, descriptions and responses."""

from __future__ import annotations

import time

from . import refusal
from .fault_makers import FaultAnswer, Value
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


EXCHANGE_ANSWERS: dict[str, FaultAnswer] = {
    "exchange_401": FaultAnswer(
        "the exchange returns 401 Bad credentials",
        lambda value: refusal.github(401, "Bad credentials"),
    ),
    "exchange_403": FaultAnswer(
        "the exchange refuses the account; the value is a notification id",
        lambda value: refusal.no_access(str(value or "no_copilot_access"), "mona"),
    ),
    "exchange_404": FaultAnswer(
        "the exchange returns 404 Not Found, as for tokens of other apps",
        lambda value: refusal.github(404, "Not Found"),
    ),
    "exchange_rate_limit": FaultAnswer(
        "the exchange hits the rate limit of GitHub's REST API",
        lambda value: _rate_limited(),
    ),
    "exchange_500": FaultAnswer(
        "the exchange returns 500, or the status given as the value",
        lambda value: refusal.github(int(value or 500), "Server Error"),
    ),
    "exchange_html": FaultAnswer(
        "the exchange returns 502 with an HTML page; the value is another status",
        lambda value: refusal.html(int(value or 502)),
    ),
    "exchange_missing_fields": FaultAnswer(
        "the exchange returns 200 without a token", _without_token
    ),
    "exchange_empty": FaultAnswer(
        "the exchange returns 200 with an empty body",
        lambda value: Refusal(200, "", content_type=refusal.JSON),
    ),
}
"""Name of a token exchange fault -> its description and response."""
