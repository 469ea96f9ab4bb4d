"""The slots of the reservation file, as known to one process.

The table includes changes that are not in the file yet: the actual cost of completed requests, and
released reservations.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from copilot_proxy.ledger.reservation import Reservation
from copilot_proxy.ledger.reservation_slots import (
    NANO,
    NANO_OFFSET,
    SLOT,
    Slot,
    parse,
    runs,
    slots_in,
)
from copilot_proxy.ledger.reserved_sums import ReservedSums, Total

_SPARE_SLOTS: Final = 64
"""The number of free slots to keep at the end of the file."""


class SlotTable:
    """The table of all slots. It does no I/O: `unsaved` yields what must be written."""

    def __init__(self) -> None:
        self.slots: dict[str, Slot] = {}
        """The used slots by request id."""
        self._free: list[int] = []
        """The numbers of free slots, the highest first."""
        self._ended: dict[int, str] = {}
        """Free slots whose old reservations are still in the file: slot number -> request id."""
        self._settled: dict[str, Slot] = {}
        """The slots that differ from those in the file."""
        self._size = 0
        """The number of slots in the file."""
        self.sums: ReservedSums | None = None
        """The sums of the reserved amounts, or None if they must be computed again."""

    @property
    def is_saved(self) -> bool:
        """Whether the file contains all changes."""
        return not (self._ended or self._settled)

    def summed(self) -> ReservedSums:
        """Return the sums of the reserved amounts, computing them if necessary."""
        sums = self.sums
        if sums is None or sums.is_outdated(len(self.slots)):
            sums = self.sums = ReservedSums()
            for slot in self.slots.values():
                slot.add_to(sums.totals(slot.decoded().group))
        return sums

    def running(self) -> list[Reservation]:
        """Return the reservations of all running requests."""
        return [slot.reservation(request_id) for request_id, slot in self.slots.items()]

    def take(self, content: bytes) -> None:
        """Replace the slots with those in `content`, which is the file without its header.

        Unsaved changes are kept. Raises `struct.error`, `ValueError` or `msgspec.MsgspecError` if
        the content is damaged.
        """
        found = parse(content)
        self._ended = {
            number: request_id
            for number, request_id in self._ended.items()
            if (slot := found.get(request_id)) is not None and slot.number == number
        }
        for request_id in self._ended.values():
            del found[request_id]
        for request_id, slot in self.slots.items():
            new = found.get(request_id)
            if new is None or new.number != slot.number or new.common != slot.common:
                slot.change(-slot.nano)
                self._settled.pop(request_id, None)
                continue
            if request_id not in self._settled:
                slot.change(new.nano - slot.nano)
                slot.nano, slot.has_ended = new.nano, new.has_ended
            found[request_id] = slot
        for request_id, slot in found.items():
            if self.slots.get(request_id) is not slot:
                common = slot.decoded()  # always decoded, since it may be damaged
                if self.sums is not None:
                    slot.add_to(self.sums.totals(common.group))
        self.slots = found
        self._size = slots_in(content)
        self._find_free()

    def amount(self, request_ids: Iterable[str], total: Total) -> int:
        """Return how much of `total` is reserved for these requests."""
        slots = [slot for one in request_ids if (slot := self.slots.get(one)) is not None]
        return sum(slot.nano for slot in slots if any(one is total for one in slot.totals))

    def ended(self, total: Total) -> int:
        """Return how much of `total` is reserved for requests that are completed."""
        slots = [slot for slot in self.slots.values() if slot.has_ended]
        return sum(slot.nano for slot in slots if any(one is total for one in slot.totals))

    def next_slot(self) -> int:
        """Return the number of the slot for the next reservation.

        A slot whose old reservation is still in the file comes first, since the new reservation
        overwrites the old one.
        """
        if self._ended:
            return next(iter(self._ended))
        return self._free[-1] if self._free else self._size

    def add(self, request_id: str, slot: Slot) -> None:
        """Add the slot of a request. Its number must be what `next_slot` has just returned."""
        if self._ended:
            del self._ended[slot.number]
        elif self._free:
            self._free.pop()
        else:
            self._size += 1
        self.slots[request_id] = slot

    def settle(self, request_id: str, nano: int | None) -> None:
        """Mark a request as completed, if it has a slot, and replace the reserved amount with its
        cost, if that is known."""
        slot = self.slots.get(request_id)
        if slot is None:
            return
        if nano is None:
            nano = slot.nano
        if slot.nano != nano or not slot.has_ended:
            slot.change(nano - slot.nano)
            slot.nano, slot.has_ended = nano, True
            self._settled[request_id] = slot

    def end(self, request_ids: Iterable[str]) -> None:
        """Release the reservations of these requests, if they exist."""
        for request_id in request_ids:
            slot = self.slots.pop(request_id, None)
            if slot is not None:
                self._settled.pop(request_id, None)
                self._ended[slot.number] = request_id
                slot.change(-slot.nano)

    def unsaved(self) -> Iterator[tuple[int, bytes]]:
        """Yield the bytes to write, with their offset from the end of the file's header."""
        for slot in self._settled.values():
            yield slot.number * SLOT + NANO_OFFSET, NANO.pack(slot.stored_nano)
        for first, size in runs(sorted(self._ended)):
            yield first * SLOT, bytes(size * SLOT)

    def mark_saved(self) -> int | None:
        """Record that everything was written.

        Returns the number of slots to keep if the file has too many free slots at its end.
        """
        self._settled.clear()
        if not self._ended:
            return None
        self._ended.clear()
        used = max((slot.number for slot in self.slots.values()), default=-1) + 1
        too_long = self._size - used > _SPARE_SLOTS
        if too_long:
            self._size = used
        self._find_free()
        return used if too_long else None

    def _find_free(self) -> None:
        used = {slot.number for slot in self.slots.values()}
        used.update(self._ended)
        self._free = [number for number in reversed(range(self._size)) if number not in used]
