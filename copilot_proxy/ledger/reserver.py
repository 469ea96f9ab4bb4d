"""The connection on which one process makes its reservations: at once if possible, else in a
thread that waits."""

import os
import platform
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from copilot_proxy.ledger import reservations
from copilot_proxy.ledger.database import BUSY_SECONDS, file_id, open_for_writing
from copilot_proxy.ledger.limit_states import State, StateCache
from copilot_proxy.ledger.reservation_request import ReservationRequest
from copilot_proxy.ledger.reservations import Refusal, Reservation

_LOOK_SECONDS: Final = 0.02
_HOST: Final = platform.node()


class Reserver:
    """Makes reservations in the ledger's file. Unless stated otherwise, methods may wait, and raise
    `sqlite3.Error`, `OSError` or `CopilotProxyError`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._database: sqlite3.Connection | None = None
        self._states = StateCache()
        self._inode: tuple[int, int] | None = None
        """Which file is open."""
        self._looked = float("-inf")
        """When the file was last seen, on the monotonic clock."""
        self._lock = threading.Lock()
        """Held while the connection is used."""

    def is_open(self) -> bool:
        """Return whether the file is open, and still there, which is checked from time to time;
        does not wait and does not raise an error."""
        now = time.monotonic()
        if now - self._looked >= _LOOK_SECONDS:
            if self._inode is None or file_id(self._path) != self._inode:
                return False
            self._looked = now
        return True

    def reserve_now(
        self, requests: Sequence[ReservationRequest]
    ) -> list[list[State] | Refusal] | None:
        """Do for each of `requests` what `reserve` does, in one transaction, without waiting and
        without raising an error; return None if that is not possible, usually because another
        connection is writing."""
        if not self._lock.acquire(blocking=False):
            return None
        try:
            if self._database is None:
                return None
            return reservations.reserve(
                self._database, [(_reservation(one), one.limits) for one in requests], self._states
            )
        except sqlite3.Error:
            return None
        finally:
            self._lock.release()

    def reserve(self, request: ReservationRequest) -> list[State] | Refusal:
        """Reserve the cost of a request, and return how much of each limit is used then; or return
        the limit that it does not fit."""
        wanted = _reservation(request)
        with self._waiting() as database:
            (outcome,) = reservations.reserve(database, [(wanted, request.limits)], self._states)
            if isinstance(outcome, Refusal) and reservations.settle_abandoned(
                database, wanted.started_us
            ):
                self._states.clear()
                (outcome,) = reservations.reserve(
                    database, [(wanted, request.limits)], self._states
                )
        return outcome

    def release(self, request_id: str) -> None:
        """End the reservation of a request that gets no row, or already has one."""
        with self._waiting() as database:
            reservations.release(database, [request_id])
            self._states.clear()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._close()

    @contextmanager
    def _waiting(self) -> Iterator[sqlite3.Connection]:
        """Give the connection to the block, which waits while another one is writing."""
        with self._lock:
            database = self._open()
            database.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000:.0f}")
            try:
                yield database
            finally:
                database.execute("PRAGMA busy_timeout = 0")

    def _open(self) -> sqlite3.Connection:
        if self._database is None or self._inode != file_id(self._path):
            self._close()
            self._database = open_for_writing(self._path)
            self._inode = file_id(self._path)
            # The ledger's own thread moves the write-ahead log into the file, which waits for the
            # disk.
            self._database.execute("PRAGMA wal_autocheckpoint = 0")
            self._states = StateCache()
        return self._database

    def _close(self) -> None:
        if self._database is not None:
            self._database.close()
        self._database = self._inode = None
        self._looked = float("-inf")


def _reservation(request: ReservationRequest) -> Reservation:
    record, who = request.record, request.record.attribution
    return Reservation(
        record.request_id,
        _HOST,
        os.getpid(),
        time.time_ns() // 1000,
        request.day,
        request.month,
        record.key or "",
        who.client or "",
        who.project or "",
        who.session or "",
        record.model or "",
        record.api,
        request.cost,
    )
