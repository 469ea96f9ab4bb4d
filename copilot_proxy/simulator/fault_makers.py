"""Helpers for defining the error responses in the lists of faults."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from .refusal import Refusal, copilot, plain

Value = Any
"""The value that a fault was turned on with, or None."""

RATE_TEXT = (
    "Sorry, you've hit a rate limit that restricts the number of Copilot model requests you can "
    "make within a specific time period. Please try again in {wait}. Please review our Terms of "
    "Service (https://docs.github.com/site-policy/github-terms/github-terms-of-service)."
)
WEEKLY_TEXT = (
    "Sorry, you've exceeded your weekly rate limit. Please review our [Terms of Service]"
    "(https://docs.github.com/site-policy/github-terms/github-terms-of-service)."
)


class FaultAnswer(NamedTuple):
    """A fault that is an error response: a description, and a function that creates the response
    from the fault's value."""

    description: str
    make: Callable[[Value], Refusal]


def error(status: int, message: str, code: Any = "", /, **more: Any) -> Callable[[Value], Refusal]:
    """Return a function that creates errors in the Copilot API's own format."""
    return lambda value: copilot(status, message, code, **more)


def text(status: int, text: str) -> Callable[[Value], Refusal]:
    """Return a function that creates plain-text errors."""
    return lambda value: plain(status, text)


def limited(code: str, default: str = "30", message: str = "") -> Callable[[Value], Refusal]:
    """Return a function that creates 429s.

    The fault's value, seconds or a date, becomes the Retry-After header. The value ``none`` omits
    the header.
    """

    def make(value: Value) -> Refusal:
        wait = default if value is None else str(value)
        answer = copilot(
            429, message or RATE_TEXT.format(wait=f"{wait} seconds"), code, type="rate_limit_error"
        )
        if wait != "none":
            answer.headers["retry-after"] = wait
        answer.headers["x-ratelimit-exceeded"] = code
        return answer

    return make
