"""Settles the reservations of requests whose processes have ended."""

import sqlite3
import time
from collections.abc import Sequence
from typing import Final

from copilot_proxy.ledger.insertion import insert, known
from copilot_proxy.ledger.reservation import Reservation, is_abandoned, row_of_abandoned
from copilot_proxy.ledger.reservation_file import ReservationFile

_OLD: Final = f"SELECT {', '.join(Reservation._fields)} FROM reservations"  # noqa: S608  # constants


def settle_abandoned(database: sqlite3.Connection, file: ReservationFile) -> None:
    """Convert the reservations of dead processes to rows, if there are any.

    Their requests may have been charged. The reservation contains the actual cost if the request
    ended before its process did, and the estimate otherwise. Raises `sqlite3.Error`, `OSError` or
    `DamagedReservations`.
    """
    with file.locked():
        found = file.table.running()
    abandoned = _insert_abandoned(database, found)
    if abandoned:
        with file.locked():
            file.clear(abandoned)


def settle_old_table(database: sqlite3.Connection) -> None:
    """Like `settle_abandoned`, for reservations that an older version left in the ledger itself.
    Raises `sqlite3.Error`."""
    found = [Reservation(*values) for values in database.execute(_OLD)]
    for request_id in _insert_abandoned(database, found):
        database.execute("DELETE FROM reservations WHERE request_id = ?", (request_id,))


def clear_recorded(database: sqlite3.Connection, file: ReservationFile) -> None:
    """Release the reservations of requests whose rows have just been written. Requires the lock of
    `file`. Raises `sqlite3.Error` or `OSError`."""
    file.clear(known(database, [one.request_id for one in file.table.running()]))


def _insert_abandoned(database: sqlite3.Connection, found: Sequence[Reservation]) -> list[str]:
    """Write rows for the abandoned reservations, and return the ids of their requests."""
    now_us = time.time_ns() // 1000
    abandoned = [one for one in found if is_abandoned(one, now_us)]
    if abandoned:
        insert(database, [row_of_abandoned(one, now_us) for one in abandoned])
    return [one.request_id for one in abandoned]
