"""Writes rows into the ledger: all rows of a batch, with their chain and sums, or none."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import chain, repeat
from operator import itemgetter, ne
from typing import Final, TypeVar

from copilot_proxy.ledger.hash_chain import hash_of, hashed_part
from copilot_proxy.ledger.schema import AMOUNTS, COLUMNS, GROUPS, INDEX, Row, tokens_of

_Value = TypeVar("_Value")
_CHUNKS: Final = (64, 8, 1)
"""Possible numbers of rows per statement. Between statements, Python's global lock passes to the
event loop and back, which takes longer than the statement."""
_KNOWN: Final = {
    size: f"SELECT request_id FROM requests WHERE request_id IN ({', '.join('?' * size)})"  # noqa: S608
    for size in _CHUNKS
}
_SUMS: Final = ", ".join(f"{name} = {name} + excluded.{name}" for name in AMOUNTS)
_ADD: Final = (
    f"INSERT INTO sums VALUES ({', '.join('?' * (len(GROUPS) + len(AMOUNTS) + 2))}) "  # noqa: S608
    f"ON CONFLICT DO UPDATE SET {_SUMS}, "
    "first_us = min(first_us, excluded.first_us), last_us = max(last_us, excluded.last_us)"
)
_group_of: Final = itemgetter(*(INDEX[name] for name in GROUPS))
_DAY: Final = INDEX["day"]
_ENDED: Final = INDEX["ended_us"]
_COST: Final = INDEX["nano_aiu"]
_SOURCE: Final = INDEX["cost_source"]
_CORRECTS: Final = INDEX["corrects"]
_LOST: Final = INDEX["cache_lost_nano_aiu"]


def insert(database: sqlite3.Connection, rows: Sequence[Row]) -> None:
    """Write `rows` in one transaction, skipping rows whose requests are already in the ledger.

    Raises `sqlite3.Error`, in which case nothing is written.
    """
    try:
        _insert(database, rows, set())
    except sqlite3.IntegrityError:
        # Some requests are probably in the ledger already. This is too rare to be checked in
        # advance.
        _insert(database, rows, known(database, [row[0] for row in rows]))


def known(database: sqlite3.Connection, request_ids: Sequence[str]) -> set[str]:
    """Return the ids of the requests that are already in the ledger. Raises `sqlite3.Error`."""
    return {
        request_id
        for ids in _chunks(request_ids)
        for (request_id,) in database.execute(_KNOWN[len(ids)], ids)
    }


def _insert(database: sqlite3.Connection, rows: Sequence[Row], written: set[str]) -> None:
    """Add the ids of new rows to `written`, and write these rows in one transaction."""
    # Do all work in Python first, because other connections must wait during the transaction.
    new: list[Row] = []
    sums: dict[Row, list[int]] = {}
    for row in rows:
        if row[0] not in written:
            written.add(row[0])
            new.append(row)
            add_to(sums, row)
    parts = list(map(hashed_part, new))
    columns, values_of = _layout_of(new) if new else ((), tuple)
    values = list(map(values_of, new))
    database.execute("BEGIN IMMEDIATE")
    try:
        hashes, days = _chained(database, new, parts)
        _store(database, columns, list(map(tuple.__add__, values, hashes)))
        database.executemany(_ADD, ((*group, *amounts) for group, amounts in sums.items()))
        database.executemany(
            "INSERT INTO days VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET rows = excluded.rows, "
            "chain = excluded.chain",
            ((day, *end) for day, end in days.items()),
        )
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise


def _chained(
    database: sqlite3.Connection, rows: Sequence[Row], parts: Sequence[bytes]
) -> tuple[list[tuple[bytes]], dict[str, tuple[int, bytes]]]:
    """Return the hash of each row, and for each day its number of rows and last hash."""
    hashes: list[tuple[bytes]] = []
    days: dict[str, tuple[int, bytes]] = {}
    for row, part in zip(rows, parts, strict=True):
        day = row[_DAY]
        if day not in days:
            found = database.execute("SELECT rows, chain FROM days WHERE day = ?", (day,))
            days[day] = found.fetchone() or (0, b"")
        count, previous = days[day]
        row_hash = hash_of(previous, part)
        hashes.append((row_hash,))
        days[day] = count + 1, row_hash
    return hashes, days


def _store(database: sqlite3.Connection, columns: tuple[str, ...], rows: Sequence[Row]) -> None:
    """Insert `rows`, which contain the values of `columns` and a hash."""
    for chunk in _chunks(rows):
        values = tuple(chain.from_iterable(chunk))
        database.execute(_statement(columns, len(chunk)), values)


def _layout_of(rows: Sequence[Row]) -> tuple[tuple[str, ...], Callable[[Row], Row]]:
    """Return the names of the columns that have a value in any of `rows`, and a function that
    returns these values. Other columns are left out, because writing a null takes as long as
    writing a number."""
    nulls = map(tuple.count, zip(*rows, strict=True), repeat(None))
    return _layout(tuple(map(ne, nulls, repeat(len(rows)))))


@lru_cache(maxsize=64)
def _layout(used: tuple[bool, ...]) -> tuple[tuple[str, ...], Callable[[Row], Row]]:
    indexes = [index for index, is_used in enumerate(used) if is_used]
    return tuple([COLUMNS[index] for index in indexes]), itemgetter(*indexes)


@lru_cache(maxsize=64)
def _statement(columns: tuple[str, ...], rows: int) -> str:
    """Return the statement that inserts this many rows, each with these columns and a hash."""
    values = ", ".join([f"({', '.join('?' * (len(columns) + 1))})"] * rows)
    return f"INSERT INTO requests ({', '.join(columns)}, chain) VALUES {values}"  # noqa: S608  # constants


def _chunks(values: Sequence[_Value]) -> Iterator[Sequence[_Value]]:
    """Yield all values, in chunks whose sizes are in `_CHUNKS`."""
    start = 0
    while start < len(values):
        size = next(one for one in _CHUNKS if one <= len(values) - start)
        yield values[start : start + size]
        start += size


def add_to(sums: dict[Row, list[int]], row: Row) -> None:
    """Add a row of the ledger to the sums by group; see `schema.GROUPS` and `schema.AMOUNTS`."""
    group = tuple([value or "" for value in _group_of(row)])
    fresh, read, written, written_1h, output, reasoning = tokens_of(row)
    counts = 0 if row[_CORRECTS] else 1
    cost, ended = row[_COST], row[_ENDED]
    known = sums.get(group)
    if known is None:
        known = sums[group] = [*[0] * len(AMOUNTS), ended, ended]
    # In the order of `AMOUNTS`.
    known[0] += counts
    known[1] += cost or 0
    known[2] += fresh or 0
    known[3] += read or 0
    known[4] += (written or 0) + (written_1h or 0)
    known[5] += output or 0
    known[6] += reasoning or 0
    if cost is None:
        known[7] += counts
    if row[_SOURCE] == "estimated":
        known[8] += counts
    known[9] += row[_LOST] or 0
    known[10] += written_1h or 0
    if fresh is None and cost is None:
        known[11] += counts
    if ended < known[12]:
        known[12] = ended
    elif ended > known[13]:
        known[13] = ended
