"""Chooses what the sums of a period are read from: the table of sums, the rows, or both."""

from datetime import UTC, date, datetime, timedelta
from typing import Final

from copilot_proxy.ledger.periods import Period
from copilot_proxy.ledger.schema import AMOUNTS, GROUPS, ROW_SUMS

_ROWS: Final = f"""
    SELECT day, month, {", ".join(f"ifnull({name}, '') {name}" for name in GROUPS[2:])},
        {", ".join(map(" ".join, zip(ROW_SUMS, AMOUNTS, strict=True)))}
    FROM requests
"""  # noqa: S608  # constants
"""Selects one row for each request, with the columns of the table `sums`."""
_SUMS: Final = f"SELECT {', '.join((*GROUPS, *AMOUNTS))} FROM sums"  # noqa: S608  # constants
_DAY: Final = timedelta(days=1)
_EAST: Final = timedelta(hours=14)
_WEST: Final = timedelta(hours=12)
"""How far local time can be ahead of UTC (`_EAST`) or behind it (`_WEST`). The time zone may have
been different when a row was written."""


def sums_source(period: Period) -> tuple[str, list[str]]:
    """Return the table to read the sums of a period from, and the conditions for its rows.

    Whole days and months are read from the table `sums`, which is fast for any number of requests.
    """
    if period.month is None and period.days is None:
        return _between(period.since, period.until), []
    return "sums", conditions(period)


def conditions(period: Period) -> list[str]:
    """Return the conditions for the requests of a period. For a month or whole days, the same
    conditions select rows of the table `sums`."""
    if period.month is not None:
        # The key of `sums` starts with the local day, which can differ by one from the UTC day.
        first = date.fromisoformat(f"{period.month}-01")
        days = (first - timedelta(days=1), first + timedelta(days=32))
        return [f"month = '{period.month}'", f"day BETWEEN '{days[0]}' AND '{days[1]}'"]
    if period.days is not None:
        named = zip(period.days, (">=", "<="), strict=True)
        return [f"day {comparison} '{day}'" for day, comparison in named if day is not None]
    return _limits(period.since, period.until)


def _between(since: datetime | None, until: datetime | None) -> str:
    """Return a table with the sums of all full days between two moments, and the rows of the
    partial days at either end."""
    if since is None and until is None:
        return "sums"
    first = None if since is None else (since.astimezone(UTC) + _EAST).date() + _DAY
    last = None if until is None else (until.astimezone(UTC) - _WEST).date() - _DAY
    if first is not None and last is not None and first > last:
        return f"({_rows(_limits(since, until))})"
    days, tables = [], []
    if first is not None:
        days.append(f"day >= '{first}'")
        tables.append(_rows([*_limits(since, _start(first) + _WEST), f"day < '{first}'"]))
    if last is not None:
        days.append(f"day <= '{last}'")
        tables.append(_rows([*_limits(_start(last + _DAY) - _EAST, until), f"day > '{last}'"]))
    return f"({_SUMS} WHERE {' AND '.join(days)} UNION ALL {' UNION ALL '.join(tables)})"


def _rows(conditions: list[str]) -> str:
    return f"{_ROWS} WHERE {' AND '.join(conditions)}"


def _limits(since: datetime | None, until: datetime | None) -> list[str]:
    """Return the conditions for requests that ended between two moments. The conditions on the day
    are redundant, but the day is the first column of an index."""
    limits = []
    if since is not None:
        first = (since.astimezone(UTC) - _WEST).date()
        limits += [f"ended_us >= {_us(since)}", f"day >= '{first}'"]
    if until is not None:
        last = (until.astimezone(UTC) + _EAST).date()
        limits += [f"ended_us < {_us(until)}", f"day <= '{last}'"]
    return limits


def _us(moment: datetime) -> int:
    return round(moment.timestamp() * 1e6)


def _start(day: date) -> datetime:
    """Return the start of a UTC day."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
