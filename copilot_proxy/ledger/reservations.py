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
from typing import Any, Final, NamedTuple

from copilot_proxy.cost.limits import Limit
from copilot_proxy.ledger.insertion import insert
from copilot_proxy.ledger.limit_states import State, StateCache, keys_of
from copilot_proxy.ledger.schema import COLUMNS, Row

_MAX_AGE_US: Final = 24 * 3600 * 1_000_000
"""After a day, the process that made a reservation counts as ended."""
_LOADED_US: Final = time.time_ns() // 1000
"""When this process has loaded the module, which is before its first reservation."""


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
_RESERVE: Final = f"INSERT INTO reservations VALUES ({', '.join('?' * len(_COLUMNS))})"  # noqa: S608


class Refusal(NamedTuple):
    """A limit that a request does not fit."""

    limit: Limit
    allowed: int
    """What it allows now, in nano-AIU."""
    used: State


def reserve(
    database: sqlite3.Connection,
    wanted: Sequence[tuple[Reservation, Sequence[tuple[Limit, int]]]],
    cache: StateCache,
) -> list[list[State] | Refusal]:
    """Make each reservation that fits all its limits, one after another in one transaction.

    The limits are those that apply to the request, with what they allow now. Returns how much of
    each limit is then used, or the first one that the reservation does not fit. Raises
    `sqlite3.Error` without reserving anything.
    """
    outcomes: list[list[State] | Refusal] = []
    made: list[Reservation] = []
    database.execute("BEGIN IMMEDIATE")
    try:
        cache.refresh(database)
        for one, limits in wanted:
            keys = keys_of([limit for limit, _ in limits], one.day, one.month, one.session)
            states = cache.known(keys)
            if states is None:
                _write(database, made)  # to be read with the others
                states = cache.states(database, keys)
            outcome = _outcome(one, limits, states)
            outcomes.append(outcome)
            if isinstance(outcome, list):
                made.append(one)
                cache.reserved(keys, outcome)
        _write(database, made)
        database.execute("COMMIT")
    except BaseException:
        cache.clear()  # it is not known whether there are reservations
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise
    return outcomes


def _outcome(
    wanted: Reservation, limits: Sequence[tuple[Limit, int]], states: Sequence[State]
) -> list[State] | Refusal:
    """Return how much of each limit is used with the reservation, or the first that does not
    allow it."""
    after = []
    for (limit, allowed), used in zip(limits, states, strict=True):
        spent, reserved = used
        reserved += wanted.nano_aiu
        if spent + reserved > allowed:
            return Refusal(limit, allowed, used)
        after.append(State(spent, reserved))
    return after


def _write(database: sqlite3.Connection, made: list[Reservation]) -> None:
    """Insert reservations, and empty the list."""
    database.executemany(_RESERVE, made)
    made.clear()


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
