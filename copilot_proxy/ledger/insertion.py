"""Writes rows into the ledger: all rows of a batch, their chain and their sums, or nothing."""

import sqlite3
from collections.abc import Iterator, Sequence
from itertools import chain
from operator import itemgetter
from typing import Final, TypeVar

from copilot_proxy.ledger.chain import next_link
from copilot_proxy.ledger.schema import AMOUNTS, COLUMNS, GROUPS, PLACE, Row, tokens_of

_Value = TypeVar("_Value")
_CHUNKS: Final = (64, 8, 1)
"""Rows in one statement. Between statements, this thread and the event loop hand over Python's
lock, which costs more than the statement."""
_COUNT: Final = len(COLUMNS) + 1
_INSERT: Final = {
    size: f"INSERT INTO requests ({', '.join(COLUMNS)}, chain) VALUES "  # noqa: S608  # constants
    + ", ".join([f"({', '.join('?' * _COUNT)})"] * size)
    for size in _CHUNKS
}
_KNOWN: Final = {
    size: f"SELECT request_id FROM requests WHERE request_id IN ({', '.join('?' * size)})"  # noqa: S608
    for size in _CHUNKS
}
_RELEASE: Final = {
    size: f"DELETE FROM reservations WHERE request_id IN ({', '.join('?' * size)})"  # noqa: S608
    for size in _CHUNKS
}
_SUMS: Final = ", ".join(f"{name} = {name} + excluded.{name}" for name in AMOUNTS)
_ADD: Final = (
    f"INSERT INTO sums VALUES ({', '.join('?' * (len(GROUPS) + len(AMOUNTS) + 2))}) "  # noqa: S608
    f"ON CONFLICT DO UPDATE SET {_SUMS}, "
    "first_us = min(first_us, excluded.first_us), last_us = max(last_us, excluded.last_us)"
)
_group_of: Final = itemgetter(*(PLACE[name] for name in GROUPS))
_DAY: Final = PLACE["day"]
_ENDED: Final = PLACE["ended_us"]
_COST: Final = PLACE["nano_aiu"]
_SOURCE: Final = PLACE["cost_source"]
_CORRECTS: Final = PLACE["corrects"]
_LOST: Final = PLACE["cache_lost_nano_aiu"]


def insert(database: sqlite3.Connection, rows: Sequence[Row]) -> None:
    """Write `rows` in one transaction; a row whose request is in the ledger already is skipped.

    Raises `sqlite3.Error`, and then nothing has been written.
    """
    database.execute("BEGIN IMMEDIATE")
    try:
        _insert(database, rows)
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise


def _insert(database: sqlite3.Connection, rows: Sequence[Row]) -> None:
    known = {
        request_id
        for ids in _chunks([row[0] for row in rows])
        for (request_id,) in database.execute(_KNOWN[len(ids)], ids)
    }
    links: dict[str, tuple[int, bytes]] = {}
    sums: dict[Row, list[int]] = {}
    new: list[Row] = []
    for row in rows:
        if row[0] in known:
            continue
        known.add(row[0])
        day = row[_DAY]
        if day not in links:
            found = database.execute("SELECT rows, chain FROM days WHERE day = ?", (day,))
            links[day] = found.fetchone() or (0, b"")
        count, link = links[day]
        links[day] = count + 1, next_link(link, row)
        new.append((*row, links[day][1]))
        add_to(sums, row)
    for chunk in _chunks(new):
        database.execute(_INSERT[len(chunk)], tuple(chain.from_iterable(chunk)))
    if database.execute("SELECT EXISTS (SELECT 1 FROM reservations)").fetchone()[0]:
        # Spent amounts stop being reserved in the same transaction.
        for ids in _chunks([row[0] for row in rows]):
            database.execute(_RELEASE[len(ids)], ids)
    database.executemany(_ADD, ((*group, *amounts) for group, amounts in sums.items()))
    database.executemany(
        "INSERT INTO days VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET rows = excluded.rows, "
        "chain = excluded.chain",
        ((day, *link) for day, link in links.items()),
    )


def _chunks(values: Sequence[_Value]) -> Iterator[Sequence[_Value]]:
    """Yield all values, in parts whose sizes are in `_CHUNKS`."""
    start = 0
    while start < len(values):
        size = next(one for one in _CHUNKS if one <= len(values) - start)
        yield values[start : start + size]
        start += size


def add_to(sums: dict[Row, list[int]], row: Row) -> None:
    """Add a row of the ledger to the sums by group; see `schema.GROUPS` and `schema.AMOUNTS`."""
    group = tuple([value or "" for value in _group_of(row)])
    fresh, read, written, written_1h, output, reasoning = [one or 0 for one in tokens_of(row)]
    counts = 0 if row[_CORRECTS] else 1
    ended = row[_ENDED]
    amounts = [
        counts,
        row[_COST] or 0,
        fresh,
        read,
        written + written_1h,
        output,
        reasoning,
        counts if row[_COST] is None else 0,
        counts if row[_SOURCE] == "estimated" else 0,
        row[_LOST] or 0,
    ]
    known = sums.get(group)
    if known is None:
        sums[group] = [*amounts, ended, ended]
    else:
        known[: len(amounts)] = map(int.__add__, known, amounts)
        known[-2], known[-1] = min(known[-2], ended), max(known[-1], ended)
