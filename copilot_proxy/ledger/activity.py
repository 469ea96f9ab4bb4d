"""Reads the latest requests, when clients were last seen, and whether the ledger has changed."""

import sqlite3
from datetime import date
from typing import Any, Final, NamedTuple

from copilot_proxy.ledger.periods import Period
from copilot_proxy.ledger.queries import Filters

LISTED: Final = (
    *("id", "request_id", "started_us", "ended_us", "first_token_ms", "key", "client", "session"),
    *("project", "api", "route", "attempts", "model_asked", "model", "effort", "input_tokens"),
    *("cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens", "output_tokens"),
    *("nano_aiu", "cost_source", "status", "outcome", "error_code", "cache_verdict"),
    "cache_lost_nano_aiu",
)
"""The columns that a list of requests contains."""
_MAX_SEARCHED: Final = 200_000
"""Maximum number of rows to search for a page of requests. The requests of a rarely used client may
be far apart."""


class ClientUse(NamedTuple):
    """How a client was used in a period."""

    client: str
    last_us: int
    """When the client's latest request ended, in microseconds since 1970."""
    requests: int
    nano_aiu: int


def latest_requests(
    database: sqlite3.Connection,
    filters: Filters,
    *,
    period: Period | None = None,
    after: int = 0,
    before: int | None = None,
    failed: bool = False,
    limit: int = 50,
) -> list[dict[str, Any]]:
    """Return the latest requests, newest first, as dictionaries with the keys in `LISTED`.

    `failed` selects only requests that did not succeed. With a `period`, the requests are those
    that ended in it, ordered by when they ended. Without one, the `id` must be between `after` and
    `before` (both exclusive), and the requests are ordered by `id`, which is not chronological for
    imported requests.
    """
    filtered, filtered_values = filters.conditions()
    conditions, values = [*filtered, "corrects IS NULL"], [*filtered_values]
    order = "id"
    if period is not None:
        order = "ended_us DESC, id"
        for moment, comparison in ((period.since, ">="), (period.until, "<")):
            if moment is not None:
                conditions.append(f"ended_us {comparison} ?")
                values.append(round(moment.timestamp() * 1e6))
        if filtered:  # otherwise, the search for an unknown name would read all rows of the period
            known = f"FROM sums WHERE {' AND '.join(filtered)}"
            conditions.append(
                f"ended_us BETWEEN (SELECT min(first_us) {known}) AND (SELECT max(last_us) {known})"
            )
            values += [*filtered_values, *filtered_values]
    else:
        newest = before if before is not None else newest_id(database) + 1
        conditions += ["id > ?", "id < ?"]
        values += [max(after, newest - _MAX_SEARCHED), newest]
    if failed:
        conditions.append("outcome <> 'ok'")
    found = database.execute(
        f"SELECT {', '.join(LISTED)} FROM requests "  # noqa: S608  # constants
        f"WHERE {' AND '.join(conditions)} ORDER BY {order} DESC LIMIT ?",
        (*values, limit),
    )
    return [dict(zip(LISTED, row, strict=True)) for row in found]


def newest_id(database: sqlite3.Connection) -> int:
    """Return the `id` of the newest row, or 0 if there is none."""
    return int(database.execute("SELECT ifnull(max(id), 0) FROM requests").fetchone()[0])


def clients_since(database: sqlite3.Connection, first: date, key: str | None) -> list[ClientUse]:
    """Return the clients seen since a local day, latest first. With `key`, return only those that
    used that API key."""
    scope = " AND key = ?" if key is not None else ""
    found = database.execute(
        "SELECT client, max(last_us), sum(requests), sum(nano_aiu) FROM sums "  # noqa: S608
        f"WHERE day >= ? AND client <> ''{scope} GROUP BY client ORDER BY 2 DESC",
        (first.isoformat(), *([key] if key is not None else [])),
    )
    return [ClientUse(*row) for row in found]


def session_use(database: sqlite3.Connection, session: str) -> tuple[str | None, int, int]:
    """Return a session's client, number of requests, and cost in nano-AIU."""
    client, requests, nano = database.execute(
        "SELECT max(client), ifnull(sum(requests), 0), ifnull(sum(nano_aiu), 0) FROM sums "
        "WHERE session = ?",
        (session,),
    ).fetchone()
    return client or None, requests, nano


def refusals_of(database: sqlite3.Connection, session: str) -> list[tuple[str, str, int]]:
    """Return (outcome, error code or "", count) for each kind of refusal in a session."""
    return database.execute(
        "SELECT outcome, ifnull(error_code, ''), count(*) FROM requests WHERE id > ? "
        "AND session = ? AND corrects IS NULL AND outcome LIKE 'refused\\_%' ESCAPE '\\' "
        "GROUP BY 1, 2 ORDER BY 1, 2",
        (newest_id(database) - _MAX_SEARCHED, session),
    ).fetchall()


def data_version(database: sqlite3.Connection) -> int:
    """Return a number that changes whenever another connection has changed the ledger."""
    return int(database.execute("PRAGMA data_version").fetchone()[0])
