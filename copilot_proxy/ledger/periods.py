"""Periods of time for the ledger: days end at local midnight, months at GitHub's reset.

GitHub resets quotas at 00:00 UTC on the first day of a month.
"""

import contextlib
import re
import time
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final, NamedTuple

from copilot_proxy.errors import UsageError

_YEARS: Final = range(1971, 9999)
"""The years allowed in a date. Outside this range, time zones and the next day cannot be
computed."""
_MAX_US: Final = 253_370_764_800_000_000
"""A time in the last year that `datetime` supports, in microseconds since 1970."""
_LAST: Final = re.compile(r"(\d{1,4})\s*([hdw])")


class Period(NamedTuple):
    """A period of time; by default, all time."""

    since: datetime | None = None
    """The start of the period, with a time zone."""
    until: datetime | None = None
    """The end of the period (exclusive), with a time zone."""
    days: tuple[date | None, date | None] | None = None
    """The first and last day (inclusive), if the period consists of whole local days."""
    month: str | None = None
    """``YYYY-MM`` if the period is a month in UTC."""


def day_and_month(minute: int) -> tuple[str, str]:
    """Return the local day and the UTC month of a time in minutes since 1970."""
    return _day_and_month(minute, time.tzname)


@lru_cache(maxsize=4)  # called for each request
def _day_and_month(minute: int, zone: tuple[str, str]) -> tuple[str, str]:
    seconds = minute * 60
    return (
        time.strftime("%Y-%m-%d", time.localtime(seconds)),
        time.strftime("%Y-%m", time.gmtime(seconds)),
    )


def this_month(now: datetime) -> Period:
    """Return the UTC month that contains `now`."""
    start = now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return Period(start, _next_month(start), month=f"{start:%Y-%m}")


def today(now: datetime) -> Period:
    """Return the local day that contains `now`."""
    return whole_days(now.date(), now.date())


def whole_days(first: date | None, last: date | None) -> Period:
    """Return the local days from `first` to `last` (inclusive)."""
    return Period(
        midnight(first) if first else None,
        midnight(last + timedelta(days=1)) if last else None,
        days=(first, last),
    )


def parse_period(since: str | None, until: str | None, last: str | None, now: datetime) -> Period:
    """Return the period described by a command's options. Raises `UsageError`.

    `since` and `until` are days (inclusive) or times; `last` is a string such as ``7d``.
    """
    if last is not None:
        if since is not None or until is not None:
            raise UsageError("--last cannot be combined with --since or --until.")
        return _last(last, now)
    start = _moment(since, now) if since else None
    end = _moment(until, now) if until else None
    if not isinstance(start, datetime) and not isinstance(end, datetime):
        period = whole_days(start, end)
    else:
        period = Period(
            start if isinstance(start, datetime) or start is None else midnight(start),
            end if isinstance(end, datetime) or end is None else midnight(end + timedelta(days=1)),
        )
    if period.since and period.until and period.since >= period.until:
        raise UsageError("--until is before --since.")
    return period


def parse_day(text: str, now: datetime) -> date:
    """Return the day named by a command's option. Raises `UsageError`."""
    day = _moment(text, now)
    if isinstance(day, datetime):
        raise UsageError(
            f"{text!r} is not a day.", hint="Use a day such as 2026-11-29, today or yesterday."
        )
    return day


def _last(text: str, now: datetime) -> Period:
    found = _LAST.fullmatch(text.strip().lower())
    if found is None or not int(found[1]):
        raise UsageError(
            f"{text!r} is not a period.", hint="Use a number with h, d or w: --last 12h, --last 7d."
        )
    count = int(found[1])
    if found[2] == "h":
        return Period(now - timedelta(hours=count), None)
    days = count * (7 if found[2] == "w" else 1)
    return whole_days(now.date() - timedelta(days=days - 1), now.date())


def _moment(text: str, now: datetime) -> date | datetime:
    word = text.strip().lower()
    if word in ("today", "yesterday"):
        return now.date() - timedelta(days=word == "yesterday")
    found = _parsed(text.strip())
    if found is None or found.year not in _YEARS:
        raise UsageError(
            f"{text!r} is not a date.",
            hint="Use a date such as 2026-11-29, 2026-11-29T14:00, today or yesterday.",
        )
    if not isinstance(found, datetime):
        return found
    return found if found.tzinfo else found.astimezone()


def _parsed(text: str) -> date | datetime | None:
    with contextlib.suppress(ValueError):
        return date.fromisoformat(text)
    with contextlib.suppress(ValueError):
        return datetime.fromisoformat(text)
    return None


def midnight(day: date) -> datetime:
    """Return the start of a local day, as an aware datetime."""
    return datetime(day.year, day.month, day.day).astimezone()


def _next_month(start: datetime) -> datetime:
    return (start + timedelta(days=32)).replace(day=1)


def local_time(microseconds: int) -> datetime:
    """Return the local time of a row, which may have been changed to an impossible one."""
    return datetime.fromtimestamp(min(max(0, microseconds), _MAX_US) / 1e6).astimezone()
