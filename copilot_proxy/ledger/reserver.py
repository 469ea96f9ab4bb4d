"""Makes the reservations of one process, and what it needs for that: what is spent."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from copilot_proxy.cost.limits import Limit
from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.ledger.database import file_id, open_for_writing
from copilot_proxy.ledger.limit_states import SpentSums, State
from copilot_proxy.ledger.reservation import reservation_of, target_of
from copilot_proxy.ledger.reservation_file import (
    DamagedReservations,
    ReservationFile,
    replace_damaged,
)
from copilot_proxy.ledger.reservation_request import FLUSH_SECONDS, ReservationRequest
from copilot_proxy.ledger.settling import clear_recorded, settle_abandoned

_T = TypeVar("_T")
_LOOK_SECONDS: Final = 0.02
"""Between two looks at what hardly ever changes."""


class Refusal(NamedTuple):
    """A limit that a request does not fit."""

    limit: Limit
    allowed: int
    """What it allows now, in nano-AIU."""
    used: State


class _Files(NamedTuple):
    database: sqlite3.Connection
    reservations: ReservationFile
    inode: tuple[int, int] | None
    """Of the ledger."""


class Reserver:
    """Makes reservations. Unless stated otherwise, methods may wait, and raise `sqlite3.Error`,
    `OSError` or `CopilotProxyError`."""

    def __init__(self, path: Path) -> None:
        """`path` is the ledger's."""
        self._path = path
        self._lock = threading.Lock()
        """Held while the files are used."""
        self._files: _Files | None = None
        self._looked = float("-inf")
        """When the files were last seen at their paths, on the monotonic clock."""
        self._ended: dict[str, int] = {}
        """What requests have cost for which that is not in the file yet."""
        self._spent = SpentSums()
        self._refreshed = float("-inf")
        """When it was last checked whether there are new rows."""
        self._reads = 0
        """How often others had changed reservations by then."""

    def is_open(self) -> bool:
        """Return whether the files are open, and still there, which is checked from time to time;
        does not wait and does not raise an error."""
        now = time.monotonic()
        if now - self._looked >= _LOOK_SECONDS:
            if not self._is_current():
                return False
            self._looked = now
        return True

    def reserve_now(self, request: ReservationRequest) -> list[State] | Refusal | None:
        """Do what `reserve` does, without waiting and without raising an error; return None if that
        is not possible, usually because another process has just locked the reservations."""
        return self._at_once(lambda files: self._reserve(files, request))

    def flush_now(self) -> bool:
        """Do what `flush` does, in the same way; return whether that was possible."""
        return self._at_once(self._flush) is not None

    def _at_once(self, work: Callable[[_Files], _T]) -> _T | None:
        """Return the result of `work`, for which the reservations are locked; None if it is not
        possible without waiting. Raises no error: whoever waits gets it."""
        if not self._lock.acquire(blocking=False):
            return None
        try:
            if self._files is None or not self._files.reservations.lock():
                return None
            try:
                return work(self._files)
            finally:
                self._files.reservations.unlock()
        except (sqlite3.Error, OSError, CopilotProxyError):
            return None
        finally:
            self._lock.release()

    def reserve(self, request: ReservationRequest) -> list[State] | Refusal:
        """Reserve the cost of a request, and return how much of each limit is used then; or return
        the limit that it does not fit."""
        with self._waiting() as files, files.reservations.locked():
            outcome = self._reserve(files, request)
        if not isinstance(outcome, Refusal):
            return outcome
        # Perhaps not all of what is reserved counts, or is going to cost as much. Requests that fit
        # their limits do not wait meanwhile.
        time.sleep(FLUSH_SECONDS)
        with self._waiting() as files:
            settle_abandoned(files.database, files.reservations)
            self._spent.clear()
            with files.reservations.locked():
                clear_recorded(files.database, files.reservations)
                return self._reserve(files, request)

    def settle(self, request_id: str, nano: int) -> None:
        """Reserve what a request has cost instead of its estimate, until its row is written.

        This takes effect with the next reservation of this process, or with `flush_now` or `flush`.
        Does not wait and raises no error.
        """
        self._ended[request_id] = nano

    def flush(self) -> None:
        """Show the other processes what was settled."""
        with self._waiting() as files, files.reservations.locked():
            self._flush(files)

    def _flush(self, files: _Files) -> bool:
        for request_id, nano in list(self._ended.items()):
            files.reservations.settle(request_id, nano)
            del self._ended[request_id]
        return True

    def release(self, request_id: str) -> None:
        """End the reservation of a request that gets no row, or already has one."""
        with self._waiting() as files, files.reservations.locked():
            files.reservations.clear([request_id])

    def close(self) -> None:
        """Close the files."""
        with self._lock:
            self._close()

    def _reserve(self, files: _Files, request: ReservationRequest) -> list[State] | Refusal:
        """Do what `reserve` does; needs the file's lock."""
        # A reservation ends after its row was written. So what was reserved is read first: whatever
        # it no longer has is among what is spent.
        self._flush(files)
        now = time.monotonic()
        if files.reservations.reads != self._reads or now - self._refreshed >= _LOOK_SECONDS:
            self._spent.refresh(files.database)
            self._reads, self._refreshed = files.reservations.reads, now
        states = []
        session = request.record.attribution.session or ""
        for limit, allowed in request.limits:
            spent = self._spent.of(files.database, limit, request.day, request.month, session)
            target = target_of(limit, request.day, request.month, session)
            reserved = files.reservations.sum(target)
            if spent + reserved + request.cost > allowed:
                return Refusal(limit, allowed, State(spent, reserved))
            states.append(State(spent, reserved + request.cost))
        files.reservations.put(reservation_of(request))
        return states

    @contextmanager
    def _waiting(self) -> Iterator[_Files]:
        """Give the files to the block, and open them first if necessary."""
        with self._lock:
            files = self._files
            if files is None or not self._is_current():
                self._close()
                files = self._files = self._opened()
            try:
                with files.reservations.locked():
                    pass
            except DamagedReservations:
                replace_damaged(files.reservations)
            yield files

    def _is_current(self) -> bool:
        files = self._files
        return (
            files is not None
            and files.inode == file_id(self._path)
            and files.reservations.is_current()
        )

    def _opened(self) -> _Files:
        database = open_for_writing(self._path)
        try:
            reservations = ReservationFile(self._path)
        except BaseException:
            database.close()
            raise
        self._spent = SpentSums()
        self._refreshed = float("-inf")
        return _Files(database, reservations, file_id(self._path))

    def _close(self) -> None:
        if self._files is not None:
            self._files.reservations.close()
            self._files.database.close()
        self._files = None
        self._looked = float("-inf")
