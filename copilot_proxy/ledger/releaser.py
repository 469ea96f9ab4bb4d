"""Releases reservations, for the thread that writes the rows of requests.

A reservation is released after the row has been written, so the cost briefly counts twice, but is
never missing. The reservations of this process are released by its reserver, which locks the file
anyway.
"""

import logging
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from copilot_proxy.ledger.reservation_file import (
    DamagedReservations,
    ReservationFile,
    path_for,
    replace_damaged,
)
from copilot_proxy.ledger.settling import settle_abandoned
from copilot_proxy.private_files import failure_reason

log = logging.getLogger(__name__)


class Releaser:
    """The writer's access to the reservation file. Nothing here raises `OSError`: a release that
    fails is tried again with the next rows."""

    def __init__(
        self, ledger: Path, try_release: Callable[[Sequence[str]], bool] | None = None
    ) -> None:
        """`try_release` is called with the ids of requests whose reservations must be released, and
        returns whether it releases them."""
        self._ledger = ledger
        self._try_release = try_release
        self._file: ReservationFile | None = None
        self._ended: set[str] = set()
        """The requests whose reservations must be released."""
        self._has_failed = False
        self._lost: set[str] = set()
        """Requests whose rows were lost; only their reservations still contain the cost."""

    def keep(self, request_ids: Iterable[str]) -> None:
        """Keep the reservations of requests whose rows were lost, so that their cost still counts.
        They are kept until `settle_abandoned` can write rows for them."""
        self._lost.update(request_ids)

    def release(self, request_ids: Sequence[str]) -> None:
        """Release the reservations of requests that have rows, or will never have any."""
        if request_ids and self._try_release is not None and self._try_release(request_ids):
            return
        self._ended.update(request_ids)
        try:
            if self._ended and (file := self._open()):
                with file.locked():
                    file.clear(self._ended)
        except DamagedReservations:
            self._replace()
        except OSError as error:
            if not self._has_failed:
                path = path_for(self._ledger)
                log.warning("%s cannot be written: %s.", path, failure_reason(error))
            self._has_failed = True
            return
        self._has_failed = False
        self._ended.clear()

    def settle_abandoned(self, database: sqlite3.Connection) -> None:
        """Replace abandoned reservations with rows: those of dead processes, and of requests whose
        rows were lost. Raises `sqlite3.Error`."""
        try:
            if file := self._open():
                settle_abandoned(database, file, self._lost)
            if self._lost and self._try_release is not None:
                self._try_release([*self._lost])  # the reserver would wait for their rows forever
            self._lost.clear()
        except DamagedReservations:
            self._replace()
        except OSError as error:
            log.debug("%s cannot be used: %s", path_for(self._ledger), error)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
        self._file = None

    def _open(self) -> ReservationFile | None:
        """Return the file, or None if there is none, for example because there is no budget."""
        if self._file is not None and not self._file.is_current():
            self.close()
        if self._file is None and path_for(self._ledger).exists():
            self._file = ReservationFile(self._ledger)
        return self._file

    def _replace(self) -> None:
        try:
            if self._file is not None:
                replace_damaged(self._file)
        except OSError as error:
            log.error("%s is damaged: %s.", path_for(self._ledger), failure_reason(error))
