"""Writes rows into the ledger, even if its file is damaged, removed or temporarily unwritable.

Runs in the thread of `Ledger`. Rows that cannot be written are kept, up to a limit, and written
later. Nothing here raises an error.
"""

import logging
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.ledger.database import (
    file_id,
    is_damaged,
    log_id,
    open_for_writing,
    reason_of,
    set_aside,
)
from copilot_proxy.ledger.insertion import insert
from copilot_proxy.ledger.releaser import Releaser
from copilot_proxy.ledger.schema import INDEX, VERSION, NewerLedger, Row, version_of

log = logging.getLogger(__name__)
_T = TypeVar("_T")

MAX_WAITING: Final = 20_000
"""The number of rows to keep while the file cannot be written; beyond that, the oldest rows are
lost."""
_RESERVED: Final = INDEX["reserved_nano_aiu"]
RETRY_SECONDS: Final = 5.0
"""Seconds until writing is tried again after a failure."""
SETTLE_SECONDS: Final = 30.0
"""Seconds between checks for processes that were killed during their requests."""


class Writer:
    """Writes rows through its own connection to the ledger."""

    def __init__(
        self, path: Path, try_release: Callable[[Sequence[str]], bool] | None = None
    ) -> None:
        """See `Releaser` for `try_release`."""
        self._path = path
        self._releaser = Releaser(path, try_release)
        self._database: sqlite3.Connection | None = None
        self._inode: tuple[int, int] | None = None
        self._log: object = None
        """The identity of the write-ahead log; see `log_id`."""
        self._is_log_removed = False
        self._waiting: list[Row] = []
        self._failed_at: float | None = None
        """When writing last failed; None if the last attempt succeeded."""
        self._settled_at = 0.0
        """When the last check for killed processes took place."""
        self._has_lost = False
        """Whether rows were lost after the last check for killed processes."""

    @property
    def has_waiting(self) -> bool:
        """Whether any rows that could not be written are waiting for another attempt."""
        return bool(self._waiting)

    def write(self, rows: Sequence[Row], *, is_last: bool = False) -> None:
        """Write `rows` and the waiting rows. If writing has just failed, only try again if
        `is_last`."""
        self._waiting += rows
        if (lost := len(self._waiting) - MAX_WAITING) > 0:
            log.error("The ledger %s cannot be written to. Lost rows: %d", self._path, lost)
            self._releaser.keep(reserved_ids(self._waiting[:lost]))
            self._has_lost = True
            del self._waiting[:lost]
        now = time.monotonic()
        if not self._waiting or (
            self._failed_at is not None and now - self._failed_at < RETRY_SECONDS and not is_last
        ):
            return
        try:
            self._write_waiting()
        except (sqlite3.Error, OSError, CopilotProxyError) as error:
            self._report(error)
            self._failed_at = now
            self._drop_connection()
        else:
            if self._failed_at is not None:
                log.warning("The ledger %s can be written to again.", self._path)
            self._failed_at = None

    def attempt(self, work: Callable[[sqlite3.Connection], _T]) -> _T | None:
        """Return the result of `work` on the file, or None if the file cannot be used."""
        if self._failed_at is not None:
            return None
        try:
            return work(self._open())
        except (sqlite3.Error, OSError, CopilotProxyError) as error:
            log.debug("The ledger %s cannot be used: %s", self._path, error)  # `write` reports it
            return None

    def release(self, request_id: str) -> None:
        """Release the reservation of a request that will have no row."""
        self._releaser.release([request_id])

    def close(self) -> None:
        """Close the file, and report any rows that could not be written."""
        if self._waiting:
            log.error(
                "The ledger %s could not be written to. Lost rows: %d",
                self._path,
                len(self._waiting),
            )
            self._waiting.clear()
        if self._database is not None:  # a process may have ended since the last check
            with suppress(sqlite3.Error):
                self._releaser.settle_abandoned(self._database)
        self._releaser.close()
        self._drop_connection()

    def _write_waiting(self) -> None:
        try:
            insert(self._open(), self._waiting)
        except (sqlite3.IntegrityError, sqlite3.ProgrammingError, ValueError, OverflowError):
            self._write_one_by_one()
        except sqlite3.DatabaseError as error:
            if not is_damaged(error) or self._is_newer():
                raise  # a full disk, or another process is taking too long to write
            self._replace_damaged()
            insert(self._open(), self._waiting)
        if self._database is not None and log_id(self._path) != self._log:
            self._replace_log(self._database)
        self._releaser.release(reserved_ids(self._waiting))
        self._waiting.clear()
        if self._has_lost or time.monotonic() - self._settled_at >= SETTLE_SECONDS:
            with suppress(sqlite3.Error):  # the rows are written, and this will be tried again
                self._settle_abandoned(self._open())

    def _settle_abandoned(self, database: sqlite3.Connection) -> None:
        """Write rows for the requests of killed processes. Raises `sqlite3.Error`."""
        self._settled_at = time.monotonic()
        self._releaser.settle_abandoned(database)
        self._has_lost = False

    def _write_one_by_one(self) -> None:
        """Write all rows except those that SQLite rejects, which must not block the others."""
        while self._waiting:
            try:
                insert(self._open(), self._waiting[:1])
            except (sqlite3.IntegrityError, sqlite3.ProgrammingError, ValueError, OverflowError):
                log.exception("A row could not be written to the ledger %s.", self._path)
            self.release(self._waiting[0][0])
            del self._waiting[:1]

    def _open(self) -> sqlite3.Connection:
        """Return the connection, reopened if the file has been replaced or removed."""
        if self._database is not None and self._inode != file_id(self._path):
            self._drop_connection()
        if self._database is None:
            self._database = open_for_writing(self._path)
            self._inode, self._log = file_id(self._path), log_id(self._path)
            self._settle_abandoned(self._database)
        return self._database

    def _is_newer(self) -> bool:
        """Return whether a later version of this program has changed the tables."""
        try:
            return self._database is not None and version_of(self._database) != VERSION
        except NewerLedger:
            return True
        except sqlite3.Error:
            return False

    def _replace_damaged(self) -> None:
        """Move the damaged file aside, unless another process has already done so."""
        is_same = self._inode is None or self._inode == file_id(self._path)
        self._drop_connection()
        if is_same:
            aside = set_aside(self._path)
            log.error(
                "The ledger was damaged. It was renamed to %s, and a new one was created.", aside
            )

    def _replace_log(self, database: sqlite3.Connection) -> None:
        """Copy the rows from the removed log into the ledger, where others find them.

        SQLite has no safe way to begin a new log while any connection uses the removed one.
        """
        if not self._is_log_removed:
            log.error(
                "Another program has removed %s-wal or %s-shm. Requests are still recorded, but "
                "restart all servers, since the ledger may otherwise be damaged.",
                self._path,
                self._path.name,
            )
        self._is_log_removed = True
        with suppress(sqlite3.Error):  # tried again with the next rows
            database.execute("PRAGMA wal_checkpoint").fetchone()

    def _drop_connection(self) -> None:
        if self._database is not None:
            try:
                self._database.close()
            except sqlite3.Error as error:
                log.warning("The ledger %s could not be closed: %s.", self._path, error)
        self._database = self._inode = None
        self._is_log_removed = False

    def _report(self, error: Exception) -> None:
        if self._failed_at is None:
            log.error(
                "The ledger %s cannot be written to: %s. Requests are still answered.",
                self._path,
                reason_of(error),
            )


def reserved_ids(rows: Iterable[Row]) -> list[str]:
    """Return the ids of the requests in `rows` that have reservations."""
    return [row[0] for row in rows if row[_RESERVED] is not None]
