"""The file with the reservations of running requests, shared by all processes that use the ledger.

Each has a slot of `SLOT` bytes, so that a reservation takes one small write, and a process that is
killed leaves either a whole slot or none. The first slot has a count of changes, which tells the
others whether they have to read the slots again. The file is changed only under its lock. It is not
mapped into memory: on a full disk, that could end the process.
"""

import errno
import logging
import os
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
from copilot_proxy.ledger.reservation import Reservation, Target, group_of
from copilot_proxy.ledger.reservation_slots import (
    NANO,
    NANO_PLACE,
    SLOT,
    Slot,
    parse,
    runs,
    slots_in,
)
from copilot_proxy.ledger.reserved_sums import ReservedSums
from copilot_proxy.private_files import NEW, UPDATE, make_folder, open_private

log = logging.getLogger(__name__)

_BUSY_SECONDS: Final = 5.0
"""How long to wait while others use the file, which takes them microseconds."""
_FIRST_WAIT: Final = 0.001
_LONGEST_WAIT: Final = 0.016
"""Seconds between two tries. A busy server locks the file in most turns of its event loop, and each
try of a thread takes time from that loop."""
_MAGIC: Final = b"CPLRES1\n"
_HEADER: Final = struct.Struct("<8sQ")
_COUNT: Final = struct.Struct("<Q")
_SPARE: Final = 64
"""Free slots at the end that are kept."""


class DamagedReservations(CopilotProxyError):
    """The file has something else in it than reservations."""

    def __init__(self) -> None:
        super().__init__("The file with the reservations of running requests is damaged.")


def path_for(ledger: Path) -> Path:
    """Return the path of the file that belongs to a ledger."""
    return ledger.with_suffix(".reservations")


class ReservationFile:
    """The open file, for one thread at a time. Methods raise `OSError`, and except for `lock`, they
    need the lock."""

    def __init__(self, ledger: Path) -> None:
        """Open the file, and create it if it does not exist."""
        self.path = path_for(ledger)
        make_folder(self.path.parent)
        self._file = open_private(self.path, UPDATE)
        self.reads = 0
        """How often something was read that others have changed."""
        self._is_changing = False
        """Whether the count of changes has been increased under this lock."""
        self._forget()

    def _forget(self) -> None:
        self._changes = -1
        """The count of changes of what is known; -1 if nothing is."""
        self._slots: dict[str, Slot] = {}
        """Those that are used, by request."""
        self._free: list[int] = []
        """The numbers of free slots, in descending order."""
        self._size = 0
        """Slots in the file."""
        self._sums: ReservedSums | None = None
        """None until they are needed."""

    def close(self) -> None:
        """Close the file; raises no error and needs no lock."""
        os.close(self._file)

    def is_current(self) -> bool:
        """Return whether the path still leads to this file; raises no error, needs no lock."""
        try:
            return os.path.samestat(os.stat(self.path), os.fstat(self._file))
        except OSError:
            return False

    def lock(self, *, wait: bool = False) -> bool:
        """Lock the file, and read what others have changed; return False if it is locked.

        With `wait`, wait for others, and raise `TimeoutError` if that takes too long. Raises
        `DamagedReservations`; then the file is not locked.
        """
        if not try_lock(self._file) and not (wait and self._wait()):
            return False
        try:
            self._refresh()
        except BaseException:
            self.unlock()
            raise
        return True

    def unlock(self) -> None:
        """End the lock."""
        self._is_changing = False
        unlock(self._file)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the file for the block, as `lock` does, and wait for others."""
        self.lock(wait=True)
        try:
            yield
        finally:
            self.unlock()

    def sum(self, target: Target) -> int:
        """Return what is reserved, in nano-AIU."""
        if self._sums is None or self._sums.is_outdated(len(self._slots)):
            self._sums = ReservedSums()
            for slot in self._slots.values():
                self._add(slot, slot.reservation)
        return self._sums.of(target)

    def running(self) -> list[Reservation]:
        """Return all reservations."""
        return [slot.reservation for slot in self._slots.values()]

    def put(self, one: Reservation) -> None:
        """Make a reservation."""
        number = self._free[-1] if self._free else self._size
        slot = Slot.of(one, number)
        packed = slot.packed(one.request_id)
        self._mark_changed()
        _write(self._file, packed, (number + 1) * SLOT)
        if self._free:
            self._free.pop()
        else:
            self._size += 1
        self._slots[one.request_id] = slot
        self._add(slot, one)

    def settle(self, request_id: str, nano: int) -> None:
        """Replace what a request has reserved, if anything, by what it has cost."""
        slot = self._slots.get(request_id)
        if slot is not None:
            self._mark_changed()
            _write(self._file, NANO.pack(nano), (slot.number + 1) * SLOT + NANO_PLACE)
            slot.change(nano - slot.nano)
            slot.nano = nano

    def clear(self, request_ids: Iterable[str]) -> None:
        """End the reservations of requests, if they have any."""
        found = [one for one in set(request_ids) if one in self._slots]
        if not found:
            return
        self._mark_changed()
        for first, size in runs(sorted(self._slots[one].number for one in found)):
            _write(self._file, bytes(size * SLOT), (first + 1) * SLOT)
        for request_id in found:
            slot = self._slots.pop(request_id)
            slot.change(-slot.nano)
        used = max((slot.number for slot in self._slots.values()), default=-1) + 1
        if self._size - used > _SPARE:
            os.ftruncate(self._file, (used + 1) * SLOT)
            self._size = used
        self._find_free()

    def set_aside(self) -> Path | None:
        """Copy the file and empty it, if it is damaged; return the copy's path, or else None.

        Needs no lock.
        """
        if not try_lock(self._file):
            self._wait()
        try:
            self._refresh()
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
        """Wait for the lock; raises `TimeoutError`."""
        deadline, wait = time.monotonic() + _BUSY_SECONDS, _FIRST_WAIT
        while not try_lock(self._file):
            if time.monotonic() > deadline:
                raise TimeoutError(errno.ETIMEDOUT, f"another process keeps {self.path} locked")
            time.sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT)
        return True

    def _refresh(self) -> None:
        header = _read(self._file, _HEADER.size, 0)
        if not header:
            self._forget()
            # Differs from the count of any earlier file.
            self._changes = time.time_ns()
            _write(self._file, _HEADER.pack(_MAGIC, self._changes), 0)
            return
        if len(header) < _HEADER.size or not header.startswith(_MAGIC):
            raise DamagedReservations
        (changes,) = _COUNT.unpack_from(header, len(_MAGIC))
        if changes == self._changes:
            return
        content = self._read_from(SLOT)
        try:
            self._take(parse(content))
        except (msgspec.MsgspecError, ValueError, struct.error):
            self._forget()
            raise DamagedReservations from None
        self._size = slots_in(content)
        self._find_free()
        self._changes = changes
        self.reads += 1

    def _take(self, found: dict[str, Slot]) -> None:
        """Replace what is known by what was found in the file; most of it may be the same."""
        for request_id, slot in self._slots.items():
            new = found.get(request_id)
            if new is not None and new.number == slot.number and new.encoded == slot.encoded:
                slot.change(new.nano - slot.nano)
                slot.nano = new.nano
                found[request_id] = slot
            else:
                slot.change(-slot.nano)
        for request_id, slot in found.items():
            if self._slots.get(request_id) is not slot:
                self._add(slot, slot.reservation)  # decoded even without sums: it may be damaged
        self._slots = found

    def _add(self, slot: Slot, one: Reservation) -> None:
        if self._sums is not None:
            slot.add_to(self._sums.totals(group_of(one)))

    def _find_free(self) -> None:
        used = {slot.number for slot in self._slots.values()}
        self._free = [number for number in reversed(range(self._size)) if number not in used]

    def _mark_changed(self) -> None:
        """Increase the count of changes before the first change: if this process were killed after
        a change, the others would not read it."""
        if not self._is_changing:
            _write(self._file, _COUNT.pack(self._changes + 1), len(_MAGIC))
            self._changes += 1
            self._is_changing = True

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
    """Set a damaged file aside, start a new one, and log that; raises `OSError`."""
    aside = file.set_aside()
    if aside is not None:
        log.error(
            "%s was damaged. It was renamed to %s, and a new one was created.", file.path, aside
        )


def stored_reservations(ledger: Path) -> list[Reservation]:
    """Return the reservations in the file; none if it cannot be read. For commands: it takes no
    lock, so it must not change anything that depends on them."""
    try:
        content = path_for(ledger).read_bytes()[SLOT:]
        return [slot.reservation for slot in parse(content).values()]
    except (OSError, msgspec.MsgspecError, ValueError, struct.error):
        return []
