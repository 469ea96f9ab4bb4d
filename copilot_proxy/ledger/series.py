"""Reads the amounts spent over time: by day from the sums, by hour from the rows."""

import sqlite3
from datetime import datetime, timedelta
from typing import Any, Final, Literal, NamedTuple, get_args

from copilot_proxy.ledger.periods import midnight
from copilot_proxy.ledger.queries import Filters

Dimension = Literal["client", "model", "key", "project"]
DIMENSIONS: Final[tuple[Dimension, ...]] = get_args(Dimension)
Span = Literal["day", "week", "month"]
SPANS: Final[tuple[Span, ...]] = get_args(Span)
_DAYS: Final = {"week": 7, "month": 30}
_HOURS: Final = 24
_HOUR: Final = 3_600_000_000
"""An hour in microseconds."""


class Spent(NamedTuple):
    """The amounts spent under one name. Each list has one entry for each of `Series.starts`."""

    name: str | None
    """The client, model, key or project; None if it is unknown."""
    nano_aiu: list[int]
    requests: list[int]
    unknown: list[int]
    """The numbers of requests whose costs are unknown, and therefore not in `nano_aiu`."""


class Series(NamedTuple):
    """The amounts spent over time."""

    starts: list[int]
    """The start of each hour or local day, in seconds since 1970, without gaps."""
    spent: list[Spent]
    """In descending order of their sums."""


def series(
    database: sqlite3.Connection, span: Span, by: Dimension, filters: Filters, now: datetime
) -> Series:
    """Return the amounts spent in each of the last 24 hours, or on each of several recent local
    days.

    `now` must have a time zone.
    """
    if span == "day":
        first = now.astimezone().replace(minute=0, second=0, microsecond=0)
        moments = [first - timedelta(hours=number) for number in range(_HOURS - 1, -1, -1)]
        starts = [round(moment.timestamp()) for moment in moments]
        # Some time zones are not a whole number of hours from UTC.
        shift = starts[0] * 1_000_000 % _HOUR
        slots = {str((start * 1_000_000 - shift) // _HOUR): n for n, start in enumerate(starts)}
        slot, table = f"(ended_us - {shift}) / {_HOUR}", "requests"
        amounts = (
            "sum(ifnull(nano_aiu, 0)), sum(corrects IS NULL), "
            "sum(nano_aiu IS NULL AND corrects IS NULL)"
        )
        since: tuple[str, Any] = ("ended_us >= ?", starts[0] * 1_000_000)
    else:
        today = now.astimezone().date()
        days = [today - timedelta(days=number) for number in range(_DAYS[span] - 1, -1, -1)]
        starts = [round(midnight(day).timestamp()) for day in days]
        slots = {day.isoformat(): number for number, day in enumerate(days)}
        slot, table = "day", "sums"
        amounts = "sum(nano_aiu), sum(requests), sum(unknown_cost_requests)"
        since = ("day >= ?", days[0].isoformat())
    conditions, values = filters.conditions()
    found = database.execute(
        f"SELECT {slot}, ifnull({by}, ''), {amounts} "  # noqa: S608  # constants
        f"FROM {table} WHERE {' AND '.join([*conditions, since[0]])} GROUP BY 1, 2",
        (*values, since[1]),
    )
    spent: dict[str, Spent] = {}
    for where_in, name, nano, requests, unknown in found:
        number = slots.get(str(where_in))
        if number is None:  # the clock was set back
            continue
        if name not in spent:
            spent[name] = Spent(name or None, *([0] * len(starts) for _ in range(3)))
        one = spent[name]
        one.nano_aiu[number] += nano
        one.requests[number] += requests
        one.unknown[number] += unknown
    return Series(
        starts,
        sorted(spent.values(), key=lambda one: (-sum(one.nano_aiu), -sum(one.requests))),
    )
