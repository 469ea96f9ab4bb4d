"""Finds out from a model's entry in Copilot's list whether and when the model will be retired.

GitHub announces a retirement in ``warning_messages`` or ``info_messages``, as
``{"code": "model_pending_deprecation", "message": "... will be retired on 2026-12-14."}``. The text
is for humans, so the date may be in various formats.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import date
from typing import Any, Final, NamedTuple

_CODE: Final = re.compile(r"deprecat|retire|sunset|end.of.life", re.IGNORECASE)
_TEXT: Final = re.compile(
    r"(will be|is being|is|has been) (deprecated|retired|removed|sunset)|\bretires\b"
    r"|no longer be available",
    re.IGNORECASE,
)
_ISO: Final = re.compile(r"\b(20\d\d)-(\d\d)-(\d\d)\b")
_MONTHS: Final = [
    "jan",
    "feb",
    "mar",
    "apr",
    "may",
    "jun",
    "jul",
    "aug",
    "sep",
    "oct",
    "nov",
    "dec",
]
_MONTH: Final = rf"(?P<month>{'|'.join(_MONTHS)})[a-z]*\.?"
_WRITTEN: Final = (
    re.compile(rf"\b{_MONTH} (?P<day>\d{{1,2}})(?:st|nd|rd|th)?,? (?P<year>20\d\d)\b", re.I),
    re.compile(rf"\b(?P<day>\d{{1,2}})(?:st|nd|rd|th)? {_MONTH},? (?P<year>20\d\d)\b", re.I),
)
_MAX_TEXT: Final = 1000
"""How many characters of a message are read."""


class Retirement(NamedTuple):
    """GitHub's announcement that a model will be retired."""

    message: str
    """GitHub's own text; may be empty."""
    on: date | None
    """The date, if the text contains one."""


def retirement(entry: Mapping[str, Any]) -> Retirement | None:
    """Return the announcement that the model will be retired, or None if there is none."""
    if entry.get("deprecated") is True:
        return Retirement("", None)
    for code, text in notices(entry):
        if _CODE.search(code) or _TEXT.search(text):
            return Retirement(text, _date(text))
    return None


def notices(entry: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the code and text of each message about the model; either may be empty."""
    for name in ("warning_messages", "info_messages", "warning_text"):
        value = entry.get(name)
        if isinstance(value, Mapping):  # maps codes to text
            value = [{"code": code, "message": text} for code, text in value.items()]
        for message in value if isinstance(value, list) else [value]:
            if isinstance(message, Mapping):
                yield _text(message.get("code")), _text(message.get("message"))
            elif isinstance(message, str):
                yield "", _text(message)


def _date(text: str) -> date | None:
    """Return the first date in the text."""
    with suppress(ValueError):  # such as 2026-13-01
        if found := _ISO.search(text):
            return date(*map(int, found.groups()))
        for pattern in _WRITTEN:
            if found := pattern.search(text):
                month = 1 + _MONTHS.index(found["month"].lower())
                return date(int(found["year"]), month, int(found["day"]))
    return None


def _text(value: object) -> str:
    return value[:_MAX_TEXT] if isinstance(value, str) else ""
