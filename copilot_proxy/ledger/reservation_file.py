"""The file with the reservations of running requests, shared by all processes that use the ledger.

Each reservation has a slot of `SLOT` bytes. A single small write fills a slot, so a killed process
leaves either a complete slot or none. The header names the last process that used the file; that
process does not need to read the slots again. The file is used only under its lock. It is not
mapped into memory, since a full disk could then kill the process.
"""

import errno
import logging
import os
import secrets
import struct
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.file_locks import try_lock, unlock
from copilot_proxy.ledger.reservation import Reservation
from copilot_proxy.ledger.reservation_slots import SLOT, Slot, parse
from copilot_proxy.ledger.slot_table import SlotTable
from copilot_proxy.private_files import NEW, UPDATE, make_folder, open_private

log = logging.getLogger(__name__)

_BUSY_SECONDS: Final = 5.0
"""Seconds to wait while others use the file; each use takes only microseconds."""
_FIRST_WAIT: Final = 0.001
_MAX_WAIT: Final = 0.016
"""Maximum seconds between attempts to lock the file. A busy server locks the file in most
iterations of its event loop, and each attempt by a thread takes time from that loop."""
_MAGIC: Final = b"CPLRES3\n"
_USER_BYTES: Final = 8


class DamagedReservations(CopilotProxyError):
    """The file contains something other than reservations."""

    def __init__(self) -> None:
        super().__init__("The file with the reservations of running requests is damaged.")


def path_for(ledger: Path) -> Path:
    """Return the path of the reservation file for a ledger."""
    return ledger.with_suffix(".reservations")


class ReservationFile:
    """The open file, for use by one thread at a time. Methods raise `OSError`. Unless stated
    otherwise, they require the lock."""

    def __init__(self, ledger: Path) -> None:
        """Open the file, creating it if it does not exist."""
        self.path = path_for(ledger)
        make_folder(self.path.parent)
        self._file = open_private(self.path, UPDATE)
        self._header = _MAGIC + secrets.token_bytes(_USER_BYTES)
        """The header that names this object as the last user of the file."""
        self.table = SlotTable()
        self.reads = 0
        """The number of times the slots were read because others may have changed them."""

    def close(self) -> None:
        """Close the file. Raises no error and does not require the lock."""
        os.close(self._file)

    def is_current(self) -> bool:
        """Return whether the path still refers to this file. Needs no lock, raises no error."""
        try:
            return os.path.samestat(os.stat(self.path), os.fstat(self._file))
        except OSError:
            return False

    def lock(self, *, wait: bool = False) -> bool:
        """Lock the file, and read the changes made by others. Return False if the file is in use.

        With `wait`, wait for the lock, and raise `TimeoutError` if that takes too long. Raises
        `DamagedReservations`, in which case the file is not locked.
        """
        if not try_lock(self._file) and not (wait and self._wait()):
            return False
        try:
            header = _read(self._file, len(self._header), 0)
            if header != self._header:
                self._read_slots(header)
        except BaseException:
            self.unlock()
            raise
        return True

    def check(self) -> None:
        """Lock the file and release it again, without reading it. Raises errors like `lock`."""
        if not try_lock(self._file):
            self._wait()
        self.unlock()

    def unlock(self) -> None:
        """Release the lock."""
        unlock(self._file)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the file while the block runs. Waits and raises errors like `lock`."""
        self.lock(wait=True)
        try:
            yield
        finally:
            self.unlock()

    def put(self, request_id: str, slot: Slot) -> None:
        """Write a reservation into a free slot, and set `slot.number`."""
        slot.number = number = self.table.next_slot()
        _write(self._file, slot.packed(request_id), (number + 1) * SLOT)
        self.table.add(request_id, slot)

    def clear(self, request_ids: Iterable[str]) -> None:
        """Release the reservations of these requests, if they exist, and save the change."""
        self.table.end(request_ids)
        self.save()

    def save(self) -> None:
        """Write all changes that are not in the file yet."""
        if self.table.is_saved:
            return
        for start, content in self.table.unsaved():
            _write(self._file, content, SLOT + start)
        size = self.table.mark_saved()
        if size is not None:
            os.ftruncate(self._file, (size + 1) * SLOT)

    def set_aside(self) -> Path | None:
        """If the file is damaged, copy it, empty it, and return the path of the copy. Otherwise,
        return None.

        Does not require the lock.
        """
        if not try_lock(self._file):
            self._wait()
        try:
            self._read_slots(_read(self._file, len(self._header), 0))
        except DamagedReservations:
            aside = f"{self.path.stem}-damaged-{time.strftime('%Y%m%d-%H%M%S')}{self.path.suffix}"
            with open(open_private(self.path.with_name(aside), NEW), "wb") as copy:
                copy.write(self._read_from(0))
            os.ftruncate(self._file, 0)
            return self.path.with_name(aside)
        finally:
            self.unlock()
        return None  # another process has already done it

    def _wait(self) -> bool:
        """Wait for the lock. Raises `TimeoutError`."""
        deadline, wait = time.monotonic() + _BUSY_SECONDS, _FIRST_WAIT
        while not try_lock(self._file):
            if time.monotonic() > deadline:
                raise TimeoutError(errno.ETIMEDOUT, f"another process keeps {self.path} locked")
            time.sleep(wait)
            wait = min(2 * wait, _MAX_WAIT)
        return True

    def _read_slots(self, header: bytes) -> None:
        """Read the slots, and name this object in the header as the last user."""
        if header and not (len(header) == len(self._header) and header.startswith(_MAGIC)):
            raise DamagedReservations
        try:
            self.table.take(self._read_from(SLOT))
        except (msgspec.MsgspecError, ValueError, struct.error):
            self.table = SlotTable()
            raise DamagedReservations from None
        self.reads += 1
        # The header is written before this process changes anything. If this process is killed
        # after a change, the next process finds a name other than its own, and reads the slots.
        _write(self._file, self._header, 0)

    def _read_from(self, start: int) -> bytes:
        return _read(self._file, os.fstat(self._file).st_size, start)


if sys.platform == "win32":

    def _read(descriptor: int, size: int, start: int) -> bytes:
        os.lseek(descriptor, start, os.SEEK_SET)
        return os.read(descriptor, size)

    def _write(descriptor: int, content: bytes, start: int) -> int:
        os.lseek(descriptor, start, os.SEEK_SET)
        return os.write(descriptor, content)

else:
    _read, _write = os.pread, os.pwrite


def replace_damaged(file: ReservationFile) -> None:
    """Copy and empty a damaged file, and log that. Raises `OSError`."""
    aside = file.set_aside()
    if aside is not None:
        log.error(
            "%s was damaged. It was renamed to %s, and a new one was created.", file.path, aside
        )


def check_usable(ledger: Path) -> None:
    """Raise `OSError` if the file exists, but cannot be locked. Changes nothing."""
    if not os.path.lexists(path_for(ledger)):
        return
    file = ReservationFile(ledger)
    try:
        file.check()
    finally:
        file.close()


def stored_reservations(ledger: Path) -> list[Reservation]:
    """Return the reservations in the file, or an empty list if it is unreadable. This takes no
    lock, so callers must not change anything based on the result."""
    try:
        content = path_for(ledger).read_bytes()[SLOT:]
        return [slot.reservation(request_id) for request_id, slot in parse(content).items()]
    except (OSError, msgspec.MsgspecError, ValueError, struct.error):
        return []
