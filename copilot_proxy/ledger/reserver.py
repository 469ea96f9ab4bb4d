"""Makes the reservations of one process, and tracks the spending that counts toward each limit."""

import sqlite3
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.ledger.database import file_id, open_for_writing
from copilot_proxy.ledger.limit_states import SpentSums
from copilot_proxy.ledger.recent_outputs import recent_outputs
from copilot_proxy.ledger.reservation_file import (
    DamagedReservations,
    ReservationFile,
    replace_damaged,
)
from copilot_proxy.ledger.reservation_plan import prepared, reduced
from copilot_proxy.ledger.reservation_request import FLUSH_SECONDS, Plan, Refusal, Used
from copilot_proxy.ledger.reservation_slots import Slot
from copilot_proxy.ledger.settling import clear_recorded, settle_abandoned
from copilot_proxy.ledger.slot_table import SlotTable

_CHECK_SECONDS: Final = 0.02
"""Minimum seconds between checks for new rows from other processes."""
_PATH_CHECK_SECONDS: Final = 0.2
"""Minimum seconds between checks for replaced files."""


class _Files(NamedTuple):
    database: sqlite3.Connection
    reservations: ReservationFile
    inode: tuple[int, int] | None
    """The inode of the ledger."""


class Reserver:
    """Makes reservations. Unless stated otherwise, methods may wait and may raise `sqlite3.Error`,
    `OSError` or `CopilotProxyError`."""

    def __init__(self, path: Path) -> None:
        """`path` is the path of the ledger."""
        self._path = path
        self._lock = threading.Lock()
        """Held while the files are in use."""
        self._files: _Files | None = None
        self._checked_at = float("-inf")
        """When the last check for replaced files succeeded, in monotonic time."""
        self._settled: dict[str, int | None] = {}
        """Request id -> cost (None if unknown), for completed requests that are not settled in the
        table of slots yet."""
        self._recorded: deque[Iterable[str]] = deque()
        """Batches of requests that now have rows, but whose reservations are still in the table."""
        self._awaited: set[str] = set()
        """Completed requests that have no rows yet."""
        self._spent = SpentSums()
        self._refreshed_at = float("-inf")
        """When the ledger was last checked for new rows."""
        self._reads = 0
        """The value of `ReservationFile.reads` when the ledger was last checked."""

    def is_open(self) -> bool:
        """Return whether the files are open and have not been replaced. Does not wait or raise
        errors."""
        return self._is_current()

    def reserve_now(
        self, request_id: str, cost: int, plan: Plan, least: int | None = None
    ) -> list[Used] | Refusal | None:
        """Do what `reserve` does, but without waiting or raising errors.

        Returns None if that is impossible, usually because another process has just locked the
        reservations. Other reasons are files that are not open yet or that have been replaced.
        """
        if not self._lock.acquire(blocking=False):
            return None
        try:
            files, now = self._files, time.monotonic()
            if files is None:
                return None
            if now - self._checked_at >= _PATH_CHECK_SECONDS:
                if not self._is_current():
                    return None
                self._checked_at = now
            if not files.reservations.lock():
                return None
            try:
                return self._reserve(files, request_id, cost, plan, now, least)
            finally:
                files.reservations.unlock()
        except (sqlite3.Error, OSError, CopilotProxyError):
            return None  # `reserve` raises the error
        finally:
            self._lock.release()

    def flush_now(self) -> bool:
        """Do what `flush` does, but without waiting or raising errors. Return False if that is
        impossible."""
        if not self._lock.acquire(blocking=False):
            return False
        try:
            files = self._files
            if files is None:
                return False
            if not self._update(files.reservations.table):
                return True
            if not files.reservations.lock():
                return False
            try:
                files.reservations.save()
            finally:
                files.reservations.unlock()
        except (OSError, CopilotProxyError):
            return False
        finally:
            self._lock.release()
        return True

    def reserve(
        self, request_id: str, cost: int, plan: Plan, least: int | None = None
    ) -> list[Used] | Refusal:
        """Reserve `cost` nano-AIU for a request.

        Returns how much of each limit of the plan is then used, or the limit that the request would
        exceed. With `least`, `cost` is only a guess, which may be reduced to what is left of the
        limits; see `reservation_plan.reduced`.
        """
        with self._waiting() as files, files.reservations.locked():
            outcome = self._reserve(files, request_id, cost, plan, time.monotonic(), least)
        if not isinstance(outcome, Refusal):
            return outcome
        # Some of the reserved amounts may soon be released or lowered. Requests that fit their
        # limits do not wait for this.
        time.sleep(FLUSH_SECONDS)
        with self._waiting() as files:
            self._save(files)
            with suppress(sqlite3.Error):  # until this succeeds, the reservations count
                settle_abandoned(files.database, files.reservations)
            self._spent.clear()
            with files.reservations.locked():
                clear_recorded(files.database, files.reservations)
                return self._reserve(files, request_id, cost, plan, time.monotonic(), least)

    def settle(self, request_id: str, nano: int | None) -> None:
        """Replace the estimate of a request with its actual cost in nano-AIU, if that is known.

        The cost stays reserved until the request's row is written. In this process, the change
        takes effect with the next reservation; others see it after `flush_now` or `flush`. Does not
        wait and raises no errors.
        """
        self._settled[request_id] = nano

    def end(self, request_ids: Iterable[str]) -> None:
        """Release the reservations of requests that have rows, or will never have any. Like
        `settle`, this takes effect later. May be called from any thread."""
        self._recorded.append(request_ids)

    @property
    def is_waiting(self) -> bool:
        """Whether any completed request still has a reservation."""
        return bool(self._settled or self._recorded or self._awaited)

    def flush(self) -> None:
        """Show other processes which requests were settled or released."""
        with self._waiting() as files:
            self._save(files)

    def _save(self, files: _Files) -> None:
        if self._update(files.reservations.table):
            with files.reservations.locked():
                files.reservations.save()

    def _update(self, table: SlotTable) -> bool:
        """Apply settled and released amounts to the table. Return whether the file is then
        outdated."""
        settled, awaited = self._settled, self._awaited
        while settled:
            request_id, nano = settled.popitem()
            if request_id in table.slots:
                awaited.add(request_id)
                table.settle(request_id, nano)
        while self._recorded:
            request_ids = self._recorded.popleft()
            table.end(request_ids)
            awaited.difference_update(request_ids)
            self._refreshed_at = float("-inf")  # the spent amounts must include the new rows
        return not table.is_saved

    def release(self, request_id: str) -> None:
        """Release the reservation of a request that will have no row, or already has one."""
        with self._waiting() as files, files.reservations.locked():
            files.reservations.clear([request_id])
            self._refreshed_at = float("-inf")

    def recent_outputs(self) -> Sequence[tuple[str, int]]:
        """Return the models and output tokens of recent answers, oldest first."""
        with self._waiting() as files:
            return recent_outputs(files.database)

    def close(self) -> None:
        """Save everything, and close the files."""
        with self._lock:
            self._close()

    def ended(self, plan: Plan, index: int) -> int:
        """Return the nano-AIU reserved for completed requests that have no rows yet. Only amounts
        that count toward the plan's limit at `index` are included. Returns 0 if another thread is
        using the files."""
        ready, files = plan.prepared, self._files
        if ready is None or files is None or not self._lock.acquire(blocking=False):
            return 0
        try:
            return files.reservations.table.ended(ready.uses[index].reserved)
        finally:
            self._lock.release()

    def _reserve(
        self,
        files: _Files,
        request_id: str,
        cost: int,
        plan: Plan,
        now: float,
        least: int | None,
    ) -> list[Used] | Refusal:
        """Do the work of `reserve`; requires the file's lock. It makes few calls, because it runs
        for every request that has limits."""
        # A reservation is only released after its row has been written. The reservations are read
        # first, so that the amount spent includes the cost of released ones.
        file = files.reservations
        table = file.table
        if self._settled or self._recorded:
            self._update(table)
        if now - self._refreshed_at >= _CHECK_SECONDS or file.reads != self._reads:
            self._spent.refresh(files.database)
            self._reads, self._refreshed_at = file.reads, now
        ready = plan.prepared
        if ready is None or ready.spent is not self._spent.version or ready.sums is not table.sums:
            ready = prepared(plan, files.database, self._spent, table.summed())
        if least is not None:
            cost = reduced(ready.uses, cost, least, table, self._awaited)
        outcome = []
        for limit, allowed, spent, total in ready.uses:
            reserved = total[0]
            if spent + reserved + cost > allowed:
                missing = max(
                    use.spent + use.reserved[0] + cost - use.allowed
                    for use in ready.uses
                    if (use.limit.kind, use.limit.name) == (limit.kind, limit.name)
                )
                ended = table.ended(total)
                return Refusal(limit, allowed, (spent + ended, reserved - ended), missing)
            outcome.append((spent, reserved + cost))
        slot = Slot(0, cost, time.time_ns() // 1000, ready.common, ready.totals)
        file.put(request_id, slot)
        for total in ready.totals:
            total[0] += cost
        return outcome

    @contextmanager
    def _waiting(self) -> Iterator[_Files]:
        """Yield the files, opening them first if necessary."""
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
        self._refreshed_at = float("-inf")
        return _Files(database, reservations, file_id(self._path))

    def _close(self) -> None:
        if self._files is not None:
            with suppress(OSError, CopilotProxyError):
                self._save(self._files)
            self._files.reservations.close()
            self._files.database.close()
        self._files = None
        self._checked_at = float("-inf")
