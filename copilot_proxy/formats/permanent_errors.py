"""Rewords permanent errors so that no agent retries a request that would be refused again.

If an error contains certain numbers or words, opencode (on all APIs) and pi (on Messages) retry the
request for hours, no matter the status. Source: the code of opencode 1.18 and pi 1.6.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.formats.types import Json

_RETRYABLE: Final = (408, 429)
"""The statuses below 500 after which a client may retry."""
_NUMBERS: Final = re.compile(r"4(?=29)|5(?=00|02|03|04|24)")
"""The first digits of numbers that agents mistake for a retryable status."""
_DIGITS: Final = re.compile(r"://[^\s/]+|\d+", re.ASCII)
"""Matches a number, or the host and port of a URL, into which no space may be inserted."""
_LONG_NUMBER: Final = 10
"""The minimum number of digits for which a number is probably an id."""
_WORDS: Final[Mapping[str, str]] = {
    "rate limit": "request limit",
    "rate_limit": "request limit",
    "timeout": "time limit",
    "timed out": "took too long",
    "overloaded": "too busy",
    "exhausted": "used up",
    "unavailable": "not available",
    "server error": "server problem",
    "connection error": "connection problem",
}
_WORD: Final = re.compile("|".join(_WORDS), re.IGNORECASE)
_FIXED_FIELDS: Final = ("type", "@type", "code", "status")
"""The fields that programs compare; their values never look retryable."""


def is_permanent(error: CopilotProxyError) -> bool:
    """Return whether the same request would fail with `error` again."""
    return 400 <= error.status < 500 and error.status not in _RETRYABLE


def looks_retryable(text: str) -> bool:
    """Return whether some agents would retry a request because of `text`."""
    return has_retryable_number(text) or _WORD.search(text) is not None


def has_retryable_number(text: str) -> bool:
    """Return whether some agents would retry a request because of a number in `text`."""
    return _NUMBERS.search(text) is not None


def permanent_text(text: str) -> str:
    """Return `text` reworded, with spaces inside retryable numbers: ``150 293``, ``4 29``."""
    text = _WORD.sub(lambda found: _WORDS[found[0].lower()], text)
    return _DIGITS.sub(lambda found: _with_spaces(found[0]), text)


def permanent_fields(fields: Json) -> Json:
    """Return an error object with all strings reworded, except for the fields that programs
    compare."""
    return {
        name: value if name in _FIXED_FIELDS else _reworded(value) for name, value in fields.items()
    }


def _with_spaces(digits: str) -> str:
    if digits.startswith("://") or _NUMBERS.search(digits) is None:
        return digits
    if len(digits) < _LONG_NUMBER and digits[0] != "0":
        grouped = f"{int(digits):,}".replace(",", " ")
        if _NUMBERS.search(grouped) is None:
            return grouped
    return _NUMBERS.sub(lambda found: f"{found[0]} ", digits)


def _reworded(value: Any) -> Any:
    if isinstance(value, str):
        return permanent_text(value)
    if isinstance(value, list):
        return [_reworded(one) for one in value]
    return permanent_fields(value) if isinstance(value, dict) else value
