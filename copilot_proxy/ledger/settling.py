"""Settles the reservations of requests whose processes have ended."""

import sqlite3
import time
from collections.abc import Collection

from copilot_proxy.ledger.insertion import insert, known
from copilot_proxy.ledger.reservation import is_abandoned, row_of_abandoned
from copilot_proxy.ledger.reservation_file import ReservationFile


def settle_abandoned(
    database: sqlite3.Connection, file: ReservationFile, lost: Collection[str] = ()
) -> None:
    """Replace the reservations of dead processes, and of requests whose rows were `lost`, with
    rows.

    These requests may have been billed. The reservation contains the actual cost if the request
    ended before its process did, and the estimate otherwise. Raises `sqlite3.Error`, `OSError` or
    `DamagedReservations`.
    """
    with file.locked():
        found = file.table.running()
    now_us = time.time_ns() // 1000
    abandoned = [one for one in found if one.request_id in lost or is_abandoned(one, now_us)]
    if abandoned:
        rows = [row_of_abandoned(one, now_us, is_lost=one.request_id in lost) for one in abandoned]
        insert(database, rows)
        with file.locked():
            file.clear([one.request_id for one in abandoned])


def clear_recorded(database: sqlite3.Connection, file: ReservationFile) -> None:
    """Release the reservations of requests whose rows have just been written. Requires the lock of
    `file`. Raises `sqlite3.Error` or `OSError`."""
    file.clear(known(database, [one.request_id for one in file.table.running()]))
