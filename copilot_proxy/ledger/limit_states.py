"""Computes how much of each limit is used: the amount spent plus the reservations."""

import sqlite3
from datetime import date, timedelta
from typing import Final, NamedTuple

from copilot_proxy.cost.limits import Limit
from copilot_proxy.ledger.database import stored_path
from copilot_proxy.ledger.insertion import known
from copilot_proxy.ledger.reservation import target_of, targets_of
from copilot_proxy.ledger.reservation_file import stored_reservations

_OWN_SUMS: Final = "(SELECT * FROM sums WHERE account = '')"
"""The rows of `sums` for the server's own account."""
_CHAINS: Final = "SELECT day, chain FROM days WHERE day BETWEEN ? AND ?"

_Key = tuple[Limit, str, str, str]
"""A sum's limit, day, month and session; the session is "" unless the limit is per session."""


class State(NamedTuple):
    """The nano-AIU that count toward a limit."""

    spent: int
    """Includes completed requests that have no rows yet."""
    reserved: int


class SpentSums:
    """Caches how much of each limit has been spent, as read by one connection.

    Computing a sum takes longer than the rest of the server's work for a request, and the result
    changes only when a batch of rows is written. `refresh` notices the changes of other
    connections; `clear` must be called after the connection's own changes.
    """

    version: object
    """An object that is replaced whenever sums may have changed."""

    def __init__(self) -> None:
        self._data_version = -1
        self.version = object()
        self._known: dict[_Key, int] = {}
        self._by_day: dict[Limit, dict[tuple[str, str], tuple[bytes, int]]] = {}
        """Limit -> (month, day) -> the day's last hash and the amount spent on that day. Any new
        row changes the hash, so an amount is valid as long as the hash is the same."""

    def clear(self) -> None:
        """Forget all sums, except those in `_by_day`, which are checked when they are used."""
        self._known.clear()
        self.version = object()

    def refresh(self, database: sqlite3.Connection) -> None:
        """Forget all sums if another connection has changed the ledger."""
        version = database.execute("PRAGMA data_version").fetchone()[0]
        if version != self._data_version:
            self.clear()
            self._data_version = version

    def of(
        self, database: sqlite3.Connection, limit: Limit, day: str, month: str, session: str
    ) -> int:
        """Return how much of `limit` was spent on that day, in that month or in that session, in
        nano-AIU, as of the last `refresh`."""
        key = limit, day, month, session if limit.per == "session" else ""
        spent = self._known.get(key)
        if spent is None:
            spent = self._known[key] = self._read(database, key)
        return spent

    def _read(self, database: sqlite3.Connection, key: _Key) -> int:
        where, values = _condition(key)
        limit, _, month, _ = key
        if limit.per != "month":
            return _sum(database, where, values)
        # Usually, only today's sum has changed.
        earlier, sums = self._by_day.get(limit, {}), {}
        for day, chain in database.execute(_CHAINS, _days_of(month)).fetchall():
            found = earlier.get((month, day))
            if found is None or found[0] != chain:
                found = chain, _sum(database, f"{where} AND day = ?", [*values, day])
            sums[month, day] = found
        self._by_day[limit] = sums
        return sum(one for _, one in sums.values())


def state(
    database: sqlite3.Connection, limit: Limit, day: str, month: str, session: str = ""
) -> State:
    """Return how much of `limit` is used on that day, in that month or in that session."""
    target = target_of(limit, day, month, session)
    path = stored_path(database)
    running = stored_reservations(path) if path is not None else []
    of_target = [one for one in running if target in targets_of(one.group)]
    # A completed request briefly has both a row and a reservation.
    recorded = known(database, [one.request_id for one in of_target])
    waiting = [one for one in of_target if one.request_id not in recorded]
    ended = sum(one.nano_aiu for one in waiting if one.has_ended)
    reserved = sum(one.nano_aiu for one in waiting if not one.has_ended)
    return State(SpentSums().of(database, limit, day, month, session) + ended, reserved)


def costliest_session(database: sqlite3.Connection, limit: Limit, day: str) -> str:
    """Return the day's most expensive session, or "" if no session was used."""
    scope = f" AND {limit.kind} = ?" if limit.kind else ""
    found = database.execute(
        f"SELECT session FROM {_OWN_SUMS} WHERE day = ? AND session <> ''{scope} "  # noqa: S608
        "GROUP BY session ORDER BY sum(nano_aiu) DESC LIMIT 1",
        (day, *([limit.name] if limit.kind else [])),
    ).fetchone()
    return str(found[0]) if found else ""


def _sum(database: sqlite3.Connection, where: str, values: list[str]) -> int:
    query = f"SELECT ifnull(sum(nano_aiu), 0) FROM {_OWN_SUMS} WHERE {where}"  # noqa: S608  # constants
    return int(database.execute(query, values).fetchone()[0])


def _condition(key: _Key) -> tuple[str, list[str]]:
    limit, day, month, session = key
    if limit.per == "day":
        where, values = "day = ?", [day]
    elif limit.per == "month":
        where, values = "month = ?", [month]
    else:
        where, values = "session = ?", [session]
    if limit.kind:
        where, values = f"{where} AND {limit.kind} = ?", [*values, limit.name]
    return where, values


def _days_of(month: str) -> tuple[str, str]:
    """Return two local days between which the entire UTC month lies."""
    first = date.fromisoformat(f"{month}-01")
    return str(first - timedelta(days=1)), str(first + timedelta(days=32))
