"""Reads sums, single requests and the quota from the ledger."""

import sqlite3
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final, Literal, NamedTuple

from copilot_proxy.cost.quota import Quota
from copilot_proxy.ledger.periods import Period, this_month
from copilot_proxy.ledger.schema import AMOUNTS, COLUMNS

Group = Literal["day", "week", "month", "session", "client", "model", "key", "project"]
_MAX_RECENT: Final = 10_000
"""The number of rows to search for the latest quota."""
_FROM_ROWS: Final = """(
    SELECT day, month, ifnull(account, '') account, ifnull(client, '') client,
        ifnull(model, '') model, ifnull(key, '') key, ifnull(project, '') project,
        ifnull(session, '') session, corrects IS NULL requests, ifnull(nano_aiu, 0) nano_aiu,
        ifnull(input_tokens, 0) input_tokens, ifnull(cache_read_tokens, 0) cache_read_tokens,
        ifnull(cache_write_tokens, 0) + ifnull(cache_write_1h_tokens, 0) cache_write_tokens,
        ifnull(output_tokens, 0) output_tokens, ifnull(reasoning_tokens, 0) reasoning_tokens,
        nano_aiu IS NULL AND corrects IS NULL unknown_cost_requests,
        cost_source = 'estimated' AND corrects IS NULL estimated_requests,
        ifnull(cache_lost_nano_aiu, 0) cache_lost_nano_aiu,
        ifnull(cache_write_1h_tokens, 0) written_1h,
        nano_aiu IS NULL AND input_tokens IS NULL AND corrects IS NULL has_no_tokens,
        ended_us first_us, ended_us last_us, ended_us
    FROM requests
)"""
"""The rows, in the form of the table `sums`."""


UNKNOWN: Final = "unknown"
"""How the views show a missing client, model, key, project or session."""


class Filters(NamedTuple):
    """Selects requests. None matches all requests, and "" matches those whose value is unknown."""

    model: str | None = None
    client: str | None = None
    key: str | None = None
    project: str | None = None
    account: str | None = None
    """ "" for the server's own sign-in."""
    session: str | None = None

    def conditions(self) -> tuple[list[str], list[Any]]:
        """Return the conditions of a query, and their values."""
        conditions, values = [], []
        for name, value in self._asdict().items():
            if value == "":
                # A client may also call itself `UNKNOWN`; the views do not distinguish the two.
                conditions.append(f"ifnull({name}, '') IN ('', '{UNKNOWN}')")
            elif value is not None:
                conditions.append(f"{name} = ?")
                values.append(value)
        return conditions, values


class Sums(NamedTuple):
    """The sums for a group of requests."""

    name: str | None
    """The value shared by the requests in the group; None if it is unknown."""
    requests: int
    nano_aiu: int
    input_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    output_tokens: int
    reasoning_tokens: int
    unknown_cost_requests: int
    estimated_requests: int
    cache_lost_nano_aiu: int

    @property
    def known_nano_aiu(self) -> int | None:
        """The cost, or None if it is unknown for all requests."""
        nothing_known = self.requests > 0 and self.unknown_cost_requests == self.requests
        return None if nothing_known else self.nano_aiu


def sums_by(
    database: sqlite3.Connection, group: Group, period: Period, filters: Filters
) -> list[Sums]:
    """Return the sums by `group`, sorted by date for days, weeks and months, otherwise by cost."""
    source, where, values = selection(period, filters)
    column = "day" if group == "week" else group
    if group == "session" and source == "sums":
        rows = _by_session(database, where, values)
    else:
        found = database.execute(
            f"SELECT {column}, {', '.join(f'sum({name})' for name in AMOUNTS)} "  # noqa: S608
            f"FROM {source} {where} GROUP BY 1 ORDER BY 1",
            values,
        ).fetchall()
        rows = [Sums(name or None, *amounts) for name, *amounts in found]
    if group == "week":
        return _by_week(rows)
    if group in ("day", "month"):
        return rows
    return sorted(rows, key=lambda row: (-row.nano_aiu, -row.requests, row.name or ""))


def _by_session(database: sqlite3.Connection, where: str, values: Sequence[Any]) -> list[Sums]:
    """Return the sums by session. The rows are added up here, because SQLite would sort all of them
    first, which takes longer than reading them."""
    found: dict[str, Sums] = {}
    for row in database.execute(
        f"SELECT session, {', '.join(AMOUNTS)} FROM sums {where}",  # noqa: S608  # constants
        values,
    ):
        known = found.get(row[0])
        found[row[0]] = Sums(row[0] or None, *row[1:]) if known is None else _added(known, row)
    return list(found.values())


def _added(sums: Sums, row: Sequence[Any]) -> Sums:
    return Sums(sums.name, *map(int.__add__, sums[1:], row[1:]))


def total(rows: Sequence[Sums], name: str | None = None) -> Sums:
    """Return the sum of `rows`."""
    if not rows:
        return Sums(name, *[0] * len(AMOUNTS))
    _, *columns = zip(*rows, strict=True)
    return Sums(name, *map(sum, columns))


def month_total(database: sqlite3.Connection, now: datetime) -> Sums:
    """Return the sum of this month's requests with the server's own account."""
    return total(sums_by(database, "month", this_month(now), Filters(account="")))


def _by_week(days: Sequence[Sums]) -> list[Sums]:
    weeks: dict[str, list[Sums]] = {}
    for row in days:
        weeks.setdefault(week_of(row.name or ""), []).append(row)
    return [total(rows, name) for name, rows in weeks.items()]


def week_of(day: str) -> str:
    """Return the ISO week of a day, such as ``2026-W48``."""
    year, week, _ = date.fromisoformat(day).isocalendar()
    return f"{year}-W{week:02}"


def selection(period: Period, filters: Filters) -> tuple[str, str, list[Any]]:
    """Return the table to read sums from, the condition and its values.

    Whole days and months are read from the sums, which is fast for any number of requests.
    """
    conditions, values = filters.conditions()
    source = "sums"
    if period.month is not None:
        # The key of `sums` starts with the local day, which can differ by one from the UTC day.
        first = date.fromisoformat(f"{period.month}-01")
        days = (first - timedelta(days=1), first + timedelta(days=32))
        conditions += ["month = ?", "day BETWEEN ? AND ?"]
        values += [period.month, *(day.isoformat() for day in days)]
    elif period.days is not None:
        for day, comparison in zip(period.days, (">=", "<="), strict=True):
            if day is not None:
                conditions.append(f"day {comparison} ?")
                values.append(day.isoformat())
    else:
        for moment, comparison in ((period.since, ">="), (period.until, "<")):
            if moment is not None:
                source = _FROM_ROWS
                conditions.append(f"ended_us {comparison} ?")
                values.append(round(moment.timestamp() * 1e6))
    return source, f"WHERE {' AND '.join(conditions)}" if conditions else "", values


def last_seen(database: sqlite3.Connection) -> dict[str, datetime]:
    """Return when each client sent its last request, by client name."""
    found = database.execute(
        "SELECT client, max(last_us) FROM sums WHERE client <> '' GROUP BY client"
    )
    return {name: datetime.fromtimestamp(last / 1e6).astimezone() for name, last in found}


def latest_quota(database: sqlite3.Connection) -> tuple[Quota, datetime] | None:
    """Return the server's own quota from the latest answer, and the time of that answer."""
    found = database.execute(
        "SELECT quota_unit, quota_entitlement, quota_percent_left, quota_overage, quota_resets_at, "
        "ended_us FROM requests WHERE quota_entitlement IS NOT NULL AND account IS NULL "
        "AND id > (SELECT ifnull(max(id), 0) FROM requests) - ? ORDER BY id DESC LIMIT 1",
        (_MAX_RECENT,),
    ).fetchone()
    if found is None:
        return None
    unit, entitlement, percent, overage, resets_at, ended = found
    reset = datetime.fromisoformat(resets_at) if resets_at else None
    moment = datetime.fromtimestamp(ended / 1e6).astimezone()
    return Quota(unit, entitlement, percent, overage, reset), moment


def requests_named(database: sqlite3.Connection, start: str) -> list[dict[str, Any]]:
    """Return up to two requests whose id starts with `start`, and the first one's corrections.

    Each request is a dictionary of all columns.
    """
    columns = ("id", *COLUMNS)
    query = f"SELECT {', '.join(columns)} FROM requests"  # noqa: S608  # constants
    found = database.execute(
        f"{query} WHERE request_id >= ? AND request_id < ? LIMIT 2", (start, start + "\uffff")
    ).fetchall()
    if len(found) == 1:
        found += database.execute(f"{query} WHERE corrects = ?", (found[0][1],)).fetchall()
    return [dict(zip(columns, row, strict=True)) for row in found]


class TierSums(NamedTuple):
    """The sums of requests whose prompts are all in the same price tier."""

    sums: Sums
    """`unknown_cost_requests` counts only requests whose tokens are unknown."""
    is_long: bool
    """Whether the prompts have more tokens than the threshold."""
    written_1h: int
    """The tokens that were written to the cache for an hour; the sums include them."""


def sums_by_tier(
    database: sqlite3.Connection,
    group: Group,
    period: Period,
    filters: Filters,
    threshold: int | None,
) -> list[TierSums]:
    """Return the sums by `group`, separately for prompts with more than `threshold` tokens.

    The result is not sorted.
    """
    _, where, values = selection(Period(period.since, period.until), filters)
    column = "day" if group == "week" else group
    prompt = "input_tokens + cache_read_tokens + cache_write_tokens"
    amounts = (f"sum({name})" for name in AMOUNTS if name != "unknown_cost_requests")
    found = database.execute(
        f"SELECT {column}, {prompt} > ?, sum(has_no_tokens), sum(written_1h), "  # noqa: S608  # constants
        f"{', '.join(amounts)} FROM {_FROM_ROWS} {where} GROUP BY 1, 2",
        (threshold if threshold is not None else 2**62, *values),
    )
    unknown = AMOUNTS.index("unknown_cost_requests")
    rows = []
    for name, is_long, without_tokens, written_1h, *sums in found:
        sums.insert(unknown, without_tokens)
        name = week_of(name) if group == "week" else name or None
        rows.append(TierSums(Sums(name, *sums), bool(is_long), written_1h))
    return rows
