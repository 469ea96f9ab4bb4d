"""Settles reservations that were left open by requests that have ended."""

import sqlite3
import time
from collections.abc import Sequence
from typing import Final

from copilot_proxy.ledger.insertion import insert, known
from copilot_proxy.ledger.reservation import Reservation, is_abandoned, row_of_abandoned
from copilot_proxy.ledger.reservation_file import ReservationFile

_OLD: Final = f"SELECT {', '.join(Reservation._fields)} FROM reservations"  # noqa: S608  # constants


def settle_abandoned(database: sqlite3.Connection, file: ReservationFile) -> None:
    """Turn the reservations of processes that have ended into rows, if there are any.

    Their requests may have been charged. If they ended before their process did, the reservation
    says what they cost, and else what was estimated. Raises `sqlite3.Error`, `OSError` or
    `DamagedReservations`.
    """
    with file.locked():
        found = file.table.running()
    abandoned = _insert_abandoned(database, found)
    if abandoned:
        with file.locked():
            file.clear(abandoned)


def settle_old_table(database: sqlite3.Connection) -> None:
    """Do the same for those that an older version of this program has left in the ledger itself;
    raises `sqlite3.Error`."""
    found = [Reservation(*values) for values in database.execute(_OLD)]
    for request_id in _insert_abandoned(database, found):
        database.execute("DELETE FROM reservations WHERE request_id = ?", (request_id,))


def clear_recorded(database: sqlite3.Connection, file: ReservationFile) -> None:
    """End the reservations of requests whose rows were written a moment ago. Needs the lock of
    `file`; raises `sqlite3.Error` or `OSError`."""
    file.clear(known(database, [one.request_id for one in file.table.running()]))


def _insert_abandoned(database: sqlite3.Connection, found: Sequence[Reservation]) -> list[str]:
    """Write the rows of those that are abandoned, and return the ids of their requests."""
    now_us = time.time_ns() // 1000
    abandoned = [one for one in found if is_abandoned(one, now_us)]
    if abandoned:
        insert(database, [row_of_abandoned(one, now_us) for one in abandoned])
    return [one.request_id for one in abandoned]
