"""Sums up how much of each limit is used: what is spent, and what running requests reserve."""

import sqlite3
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import Final, NamedTuple

from copilot_proxy.cost.limits import Limit

_OWN_SUMS: Final = "(SELECT * FROM sums WHERE account = '')"
"""What the server's own account has paid."""
_CHAINS: Final = "SELECT day, chain FROM days WHERE day BETWEEN ? AND ?"

Key = tuple[Limit, str, str, str]
"""What a sum is for: a limit, a day, a month, a session ("" unless the limit is for sessions)."""


class State(NamedTuple):
    """How much of a limit is used, in nano-AIU."""

    spent: int
    reserved: int


def keys_of(limits: Iterable[Limit], day: str, month: str, session: str) -> list[Key]:
    """Return the keys of the sums that count towards `limits` on a day, in a month and in a
    session."""
    return [(limit, day, month, session if limit.per == "session" else "") for limit in limits]


class StateCache:
    """How much of each limit is used, as read by one connection.

    Summing up takes longer than a request. The spent sum changes only when a batch of rows is
    written, and the reserved sum also with each reservation. SQLite counts the changes of all other
    connections; the connection's own are made known with `reserved` or `clear`.
    """

    def __init__(self) -> None:
        self._version = -1
        self._known: dict[Key, State] = {}
        self._spent: dict[Key, int] = {}
        self._by_day: dict[Limit, dict[tuple[str, str], tuple[bytes, int]]] = {}
        """What was spent on each day, by month and day, with the day's chain of hashes. Any new row
        changes the chain, so a sum is valid as long as the chain is the same."""

    def clear(self) -> None:
        """Forget what may have changed."""
        self._known.clear()
        self._spent.clear()

    def refresh(self, database: sqlite3.Connection) -> None:
        """Forget everything if another connection has changed the ledger."""
        version = database.execute("PRAGMA data_version").fetchone()[0]
        if version != self._version:
            self.clear()
            self._version = version

    def known(self, keys: Sequence[Key]) -> list[State] | None:
        """Return what `states` returns if that does not need to be read, else None."""
        found = [state for key in keys if (state := self._known.get(key)) is not None]
        return found if len(found) == len(keys) else None

    def states(self, database: sqlite3.Connection, keys: Iterable[Key]) -> list[State]:
        """Return how much of each limit is used, as of the last `refresh`."""
        return [self._known.get(key) or self._read(database, key) for key in keys]

    def reserved(self, keys: Iterable[Key], states: Iterable[State]) -> None:
        """Set what is used, now that the connection has made a reservation that counts for
        `keys`."""
        # It may count for other limits, too, so they are forgotten.
        self._known = dict(zip(keys, states, strict=True))

    def _read(self, database: sqlite3.Connection, key: Key) -> State:
        if key not in self._spent:
            self._spent[key] = self._spent_now(database, key)
        state = State(self._spent[key], _sum(database, "reservations", *_condition(key)))
        self._known[key] = state
        return state

    def _spent_now(self, database: sqlite3.Connection, key: Key) -> int:
        where, values = _condition(key)
        limit, _, month, _ = key
        if limit.per != "month":
            return _sum(database, _OWN_SUMS, where, values)
        # Usually, only the sum of today has changed.
        known, sums = self._by_day.get(limit, {}), {}
        for day, chain in database.execute(_CHAINS, _days_of(month)).fetchall():
            found = known.get((month, day))
            if found is None or found[0] != chain:
                one = _sum(database, _OWN_SUMS, f"{where} AND day = ?", [*values, day])
                found = chain, one
            sums[month, day] = found
        self._by_day[limit] = sums
        return sum(one for _, one in sums.values())


def state(
    database: sqlite3.Connection, limit: Limit, day: str, month: str, session: str = ""
) -> State:
    """Return how much of `limit` is used on that day, in that month or in that session."""
    return StateCache().states(database, keys_of([limit], day, month, session))[0]


def costliest_session(database: sqlite3.Connection, limit: Limit, day: str) -> str:
    """Return the session of that day that has cost the most; "" if there is none."""
    scope = f" AND {limit.kind} = ?" if limit.kind else ""
    found = database.execute(
        f"SELECT session FROM {_OWN_SUMS} WHERE day = ? AND session <> ''{scope} "  # noqa: S608
        "GROUP BY session ORDER BY sum(nano_aiu) DESC LIMIT 1",
        (day, *([limit.name] if limit.kind else [])),
    ).fetchone()
    return str(found[0]) if found else ""


def _sum(database: sqlite3.Connection, table: str, where: str, values: list[str]) -> int:
    query = f"SELECT ifnull(sum(nano_aiu), 0) FROM {table} WHERE {where}"  # noqa: S608  # constants
    return int(database.execute(query, values).fetchone()[0])


def _condition(key: Key) -> tuple[str, list[str]]:
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
    """Return the first and the last local day of a range that covers a month in UTC."""
    first = date.fromisoformat(f"{month}-01")
    return str(first - timedelta(days=1)), str(first + timedelta(days=32))
