"""Reads sums, single requests and the quota from the ledger."""

import json
import re
import sqlite3
from collections.abc import Sequence
from datetime import date, datetime
from operator import attrgetter
from typing import Any, Final, Literal, NamedTuple

from copilot_proxy.cost.quota import Quota
from copilot_proxy.ledger.periods import Period, local_time, this_month
from copilot_proxy.ledger.schema import AMOUNTS, COLUMNS
from copilot_proxy.ledger.sources import sums_source

Group = Literal["day", "week", "month", "session", "client", "model", "key", "project"]
_MAX_RECENT: Final = 10_000
"""The number of rows to search for the latest quota."""
_cost_of: Final = attrgetter("nano_aiu", "requests")
IMPORTED: Final = ("copilot-cli-", "copilot-cli.")
"""The ids of requests imported from Copilot CLI are between these two values. The client's name
cannot distinguish them, since the CLI has the same name when `run` starts it."""
_ID_LENGTH: Final = 8
"""How many characters of a request's id are shown, which is enough to identify it."""
_SHORT_IMPORTED: Final = re.compile(r"cli-[0-9]+")
UNKNOWN: Final = "unknown"
"""How the views show a missing client, model, key, project or session."""


class Filters(NamedTuple):
    """Selects requests by their values. A field that is None excludes nothing; "" selects the
    requests whose value is unknown."""

    model: str | None = None
    client: str | None = None
    key: str | None = None
    project: str | None = None
    account: str | None = None
    """ "" for the server's own sign-in."""
    session: str | None = None

    def conditions(self) -> tuple[list[str], list[Any]]:
        """Return the conditions of an SQL query, and the values of their parameters."""
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
    cache_write_1h_tokens: int
    unknown_tokens_requests: int

    @property
    def known_nano_aiu(self) -> int | None:
        """The cost, or None if it is unknown for all requests."""
        nothing_known = self.requests > 0 and self.unknown_cost_requests == self.requests
        return None if nothing_known else self.nano_aiu


def sums_by(
    database: sqlite3.Connection, group: Group, period: Period, filters: Filters
) -> list[Sums]:
    """Return the sums by `group`, sorted by date for days, weeks and months, otherwise by cost."""
    source, conditions = sums_source(period)
    where, values = selection(conditions, filters)
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
    rows.sort(key=lambda row: row.name or "")
    rows.sort(key=_cost_of, reverse=True)
    return rows


def _by_session(database: sqlite3.Connection, where: str, values: Sequence[Any]) -> list[Sums]:
    """Return the sums by session. The rows are added up here, because SQLite would sort all of them
    first, which takes longer than reading them."""
    found: dict[str | None, Sequence[Any]] = {}
    for row in database.execute(
        f"SELECT nullif(session, ''), {', '.join(AMOUNTS)} FROM sums {where}",  # noqa: S608  # constants
        values,
    ):
        known = found.get(row[0])
        found[row[0]] = row if known is None else (row[0], *map(int.__add__, known[1:], row[1:]))
    return list(map(Sums._make, found.values()))


def total(rows: Sequence[Sums], name: str | None = None) -> Sums:
    """Return the sum of `rows`."""
    if not rows:
        return Sums(name, *[0] * len(AMOUNTS))
    _, *columns = zip(*rows, strict=True)
    return Sums(name, *map(sum, columns))


def month_total(database: sqlite3.Connection, now: datetime) -> Sums:
    """Return the sums for this month's requests with the server's own account."""
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


def selection(conditions: Sequence[str], filters: Filters) -> tuple[str, list[Any]]:
    """Return the ``WHERE`` clause for the conditions and the filters, and the values of its
    parameters."""
    filtered, values = filters.conditions()
    found = [*filtered, *conditions]
    return f"WHERE {' AND '.join(found)}" if found else "", values


def last_seen(database: sqlite3.Connection) -> dict[str, datetime]:
    """Return when each client sent its last request, by client name."""
    found = database.execute(
        "SELECT client, max(last_us) FROM sums WHERE client <> '' GROUP BY client"
    )
    return {name: local_time(last) for name, last in found}


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
    try:
        reset = datetime.fromisoformat(resets_at) if resets_at else None
    except ValueError:  # another program has changed the row
        reset = None
    return Quota(unit, entitlement, percent, overage, reset), local_time(ended)


def short_id(request_id: str) -> str:
    """Return a short form of a request's id, which is usually enough to identify the request.

    It is the start of the id, or ``cli-`` and a number for a request imported from Copilot CLI.
    """
    if IMPORTED[0] <= request_id < IMPORTED[1]:
        return f"cli-{request_id.rpartition('-')[2]}"
    return request_id[:_ID_LENGTH]


def requests_named(database: sqlite3.Connection, start: str) -> list[dict[str, Any]]:
    """Return the request with the id `start`, or up to two requests whose ids start with `start`.
    If there is only one, it is followed by the rows that correct it.

    `start` may also be the `short_id` of a request. Each row is a dictionary of all columns.
    """
    columns = ("id", *COLUMNS)
    query = f"SELECT {', '.join(columns)} FROM requests"  # noqa: S608  # constants
    first, last, pattern = start, start + "\uffff", "%"
    if _SHORT_IMPORTED.fullmatch(start):
        (first, last), pattern = IMPORTED, f"%{start.removeprefix('cli')}"
    found = database.execute(
        f"{query} WHERE request_id >= ? AND request_id < ? AND request_id LIKE ? "
        "ORDER BY request_id <> ? LIMIT 2",
        (first, last, pattern, start),
    ).fetchall()
    if len(found) == 1 or (found and found[0][1] == start):
        found = found[:1]
        found += database.execute(f"{query} WHERE corrects = ?", (found[0][1],)).fetchall()
    return [dict(zip(columns, row, strict=True)) for row in found]


def decoded(text: str | None, kind: type = object) -> Any:
    """Return the value of a JSON column, or None if there is none of this kind. Another program may
    have changed the row; `verify` reports that."""
    try:
        found = json.loads(text or "null")
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, kind) else None
