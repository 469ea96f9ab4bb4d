"""Reservations: what running requests may cost, so that parallel ones cannot exceed a limit.

They are in the ledger's file, so that all processes see them. A reservation is made in the same
transaction that compares the limits with what is spent and reserved, and it ends in the one that
writes the row of its request. One whose process has ended without a row becomes an estimated row.
"""

import os
import platform
import sqlite3
import time
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import Any, Final, NamedTuple

from copilot_proxy.cost.limits import Limit
from copilot_proxy.ledger.insertion import insert
from copilot_proxy.ledger.schema import COLUMNS, Row

_MAX_AGE_US: Final = 24 * 3600 * 1_000_000
"""After a day, the process that made a reservation counts as ended."""
_LOADED_US: Final = time.time_ns() // 1000
"""When this process has loaded the module, which is before its first reservation."""
_OWN_SUMS: Final = "(SELECT * FROM sums WHERE account = '')"
"""What the server's own account has paid."""


class Reservation(NamedTuple):
    """What a request may cost. Texts are "" if they are unknown."""

    request_id: str
    host: str
    """The name of the machine or container, which has its own process ids."""
    pid: int
    started_us: int
    day: str
    month: str
    key: str
    client: str
    project: str
    session: str
    model: str
    api: str
    nano_aiu: int


_COLUMNS: Final = Reservation._fields
_IF_UNCHANGED: Final = (
    f"INSERT INTO reservations SELECT {', '.join('?' * len(_COLUMNS))} "  # noqa: S608  # constants
    "WHERE (SELECT data_version FROM pragma_data_version) = ?"
)
_RESERVE: Final = f"INSERT INTO reservations VALUES ({', '.join('?' * len(_COLUMNS))})"  # noqa: S608


_Key = tuple[str, str, str, Limit]
"""What a sum is for: a day, a month, a session ("" unless the limit is for sessions), a limit."""


class State(NamedTuple):
    """How much of a limit is used, in nano-AIU."""

    spent: int
    reserved: int


class Refusal(NamedTuple):
    """A limit that a request does not fit."""

    limit: Limit
    allowed: int
    """What it allows now, in nano-AIU."""
    used: State


class StateCache:
    """How much of each limit is used, as read by one connection.

    Summing up takes longer than a request. The spent sum changes only when a batch of rows is
    written, and the reserved sum also with each reservation. SQLite counts the changes of all other
    connections; the connection's own are added here, or forgotten with `clear`.
    """

    def __init__(self) -> None:
        self._version = -1
        self._spent: dict[_Key, int] = {}
        self._reserved: dict[_Key, int] = {}

    def clear(self) -> None:
        """Forget everything."""
        self._spent.clear()
        self._reserved.clear()

    def knows(self, database: sqlite3.Connection, limit: Limit, day: str, month: str) -> bool:
        """Return whether `states` already knows the spent sum of a day or a month."""
        self._drop_old(database)
        return (day, month, "", limit) in self._spent

    def known(
        self, limits: Iterable[Limit], day: str, month: str, session: str
    ) -> tuple[list[State], int] | None:
        """Return what `states` would return as long as SQLite's count of changes is the second
        value; None if that is not known."""
        keys = [_key(limit, day, month, session) for limit in limits]
        try:
            states = [State(self._spent[key], self._reserved[key]) for key in keys]
        except KeyError:
            return None
        return states, self._version

    def states(
        self,
        database: sqlite3.Connection,
        limits: Iterable[Limit],
        day: str,
        month: str,
        session: str,
    ) -> list[State]:
        """Return how much of each of `limits` is used."""
        self._drop_old(database)
        states = []
        for limit in limits:
            key = _key(limit, day, month, session)
            if key not in self._spent:
                self._spent[key] = _sum(database, _OWN_SUMS, limit, day, month, session)
            if key not in self._reserved:
                self._reserved[key] = _sum(database, "reservations", limit, day, month, session)
            states.append(State(self._spent[key], self._reserved[key]))
        return states

    def add(self, made: Reservation, limits: Iterable[Limit]) -> None:
        """Add a reservation that the connection has made, and to which `limits` apply, all of them
        with a known state."""
        keys = [_key(limit, made.day, made.month, made.session) for limit in limits]
        # It may count for others, too, so their sums are forgotten.
        self._reserved = {key: self._reserved[key] + made.nano_aiu for key in keys}

    def _drop_old(self, database: sqlite3.Connection) -> None:
        version = database.execute("PRAGMA data_version").fetchone()[0]
        if version != self._version:
            self.clear()
            self._version = version


def _key(limit: Limit, day: str, month: str, session: str) -> _Key:
    return day, month, session if limit.per == "session" else "", limit


def reserve(
    database: sqlite3.Connection,
    wanted: Reservation,
    limits: Sequence[tuple[Limit, int]],
    cache: StateCache,
) -> list[State] | Refusal:
    """Make a reservation if it fits all limits, and return how much of each is used then; else
    return the first that it does not fit.

    `limits` are those that apply to the request, with what they allow now. Raises `sqlite3.Error`.
    """
    database.execute("BEGIN IMMEDIATE")
    try:
        applying = [limit for limit, _ in limits]
        states = cache.states(database, applying, wanted.day, wanted.month, wanted.session)
        for (limit, allowed), used in zip(limits, states, strict=True):
            if used.spent + used.reserved + wanted.nano_aiu > allowed:
                database.execute("ROLLBACK")
                return Refusal(limit, allowed, used)
        database.execute(_RESERVE, wanted)
        database.execute("COMMIT")
    except BaseException:
        cache.clear()  # it is not known whether there is a reservation
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise
    cache.add(wanted, applying)
    return [State(one.spent, one.reserved + wanted.nano_aiu) for one in states]


def reserve_if_unchanged(
    database: sqlite3.Connection,
    wanted: Reservation,
    limits: Sequence[tuple[Limit, int]],
    cache: StateCache,
) -> list[State] | None:
    """Do what `reserve` does if `cache` has all that is needed, in a single statement, which is
    also a transaction; return None if it has not, or if the request does not fit.

    Raises `sqlite3.Error`.
    """
    applying = [limit for limit, _ in limits]
    known = cache.known(applying, wanted.day, wanted.month, wanted.session)
    if known is None:
        return None
    states, version = known
    after = [State(one.spent, one.reserved + wanted.nano_aiu) for one in states]
    if any(sum(one) > allowed for one, (_, allowed) in zip(after, limits, strict=True)):
        return None
    try:
        # The statement holds the lock for writing when it compares the versions.
        made = database.execute(_IF_UNCHANGED, (*wanted, version)).rowcount
    except BaseException:
        cache.clear()  # it is not known whether there is a reservation
        raise
    if not made:
        return None
    cache.add(wanted, applying)
    return after


def state(
    database: sqlite3.Connection, limit: Limit, day: str, month: str, session: str = ""
) -> State:
    """Return how much of `limit` is used on that day, in that month or in that session."""
    return StateCache().states(database, [limit], day, month, session)[0]


def costliest_session(database: sqlite3.Connection, limit: Limit, day: str) -> str:
    """Return the session of that day that has cost the most; "" if there is none."""
    scope = f" AND {limit.kind} = ?" if limit.kind else ""
    found = database.execute(
        f"SELECT session FROM {_OWN_SUMS} WHERE day = ? AND session <> ''{scope} "  # noqa: S608
        "GROUP BY session ORDER BY sum(nano_aiu) DESC LIMIT 1",
        (day, *([limit.name] if limit.kind else [])),
    ).fetchone()
    return str(found[0]) if found else ""


def release(database: sqlite3.Connection, request_ids: Iterable[str]) -> None:
    """End the reservations of requests that get no row."""
    database.executemany(
        "DELETE FROM reservations WHERE request_id = ?", ((one,) for one in request_ids)
    )


def settle_abandoned(database: sqlite3.Connection, now_us: int) -> int:
    """Turn the reservations of processes that have ended into rows, and return their number.

    Their requests may have been charged, but it is not known how much.
    """
    found = database.execute(f"SELECT {', '.join(_COLUMNS)} FROM reservations")  # noqa: S608
    abandoned = [
        one
        for one in (Reservation(*values) for values in found)
        if one.started_us < now_us - _MAX_AGE_US or not _is_running(one)
    ]
    if abandoned:
        insert(database, [_row(one, now_us) for one in abandoned])
    return len(abandoned)


def _sum(
    database: sqlite3.Connection, table: str, limit: Limit, day: str, month: str, session: str
) -> int:
    where, values = _condition(limit, day, month, session)
    query = f"SELECT ifnull(sum(nano_aiu), 0) FROM {table} WHERE {where}"  # noqa: S608  # constants
    return int(database.execute(query, values).fetchone()[0])


def _condition(limit: Limit, day: str, month: str, session: str) -> tuple[str, list[Any]]:
    if limit.per == "day":
        where, values = "day = ?", [day]
    elif limit.per == "month":
        first = date.fromisoformat(f"{month}-01")
        days = (first - timedelta(days=1), first + timedelta(days=32))
        where, values = "month = ? AND day BETWEEN ? AND ?", [month, *map(str, days)]
    else:
        where, values = "session = ?", [session]
    if limit.kind:
        where, values = f"{where} AND {limit.kind} = ?", [*values, limit.name]
    return where, values


def _is_running(one: Reservation) -> bool:
    """Return whether the process that made a reservation is, or may be, still running."""
    if one.host != platform.node() or os.name != "posix":
        return True
    if one.pid == os.getpid():  # in a container, processes get the same numbers again
        return one.started_us >= _LOADED_US
    try:
        os.kill(one.pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return not _is_zombie(one.pid)


def _is_zombie(pid: int) -> bool:
    """Return whether a process has ended, but its parent has not noticed yet (Linux)."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] in ("Z", "X")
    except (OSError, IndexError):
        return False


def _row(one: Reservation, now_us: int) -> Row:
    values: dict[str, Any] = {
        **{name: value or None for name, value in one._asdict().items()},
        "ended_us": max(one.started_us, min(now_us, one.started_us + 1_000_000)),
        "stream": 0,
        "attempts": 1,
        "images": 0,
        "nano_aiu": one.nano_aiu,
        "cost_source": "estimated",
        "status": 0,
        "outcome": "broken",
        "error_code": "server_killed",
    }
    return tuple(values.get(name) for name in COLUMNS)
