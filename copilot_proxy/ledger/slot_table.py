"""The slots of the file with the reservations, as one process knows them, and what it has not
written yet: what ended requests have cost, and which of them have rows."""

from collections.abc import Iterable, Iterator
from typing import Final

from copilot_proxy.ledger.reservation import Reservation
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

_SPARE: Final = 64
"""Free slots at the end that are kept."""


class SlotTable:
    """Knows all slots. It does no I/O: `unsaved` yields what has to be written."""

    def __init__(self) -> None:
        self.slots: dict[str, Slot] = {}
        """Those that are used, by request."""
        self._free: list[int] = []
        """The numbers of free slots, in descending order."""
        self._ended: dict[int, str] = {}
        """The numbers of slots that are free, too, but not in the file, and their requests."""
        self._settled: dict[str, Slot] = {}
        """Those that have another amount in the file."""
        self._size = 0
        """Slots in the file."""
        self.sums: ReservedSums | None = None
        """What is reserved; None if it has to be summed up."""

    @property
    def is_saved(self) -> bool:
        """Whether the file has everything."""
        return not (self._ended or self._settled)

    def summed(self) -> ReservedSums:
        """Return the sums of what is reserved, new ones if necessary."""
        sums = self.sums
        if sums is None or sums.is_outdated(len(self.slots)):
            sums = self.sums = ReservedSums()
            for slot in self.slots.values():
                slot.add_to(sums.totals(slot.decoded().group))
        return sums

    def running(self) -> list[Reservation]:
        """Return all reservations."""
        return [slot.reservation(request_id) for request_id, slot in self.slots.items()]

    def take(self, content: bytes) -> None:
        """Replace what is known by the `content` of the file without its header; most of it may be
        the same. Raises `struct.error`, `ValueError` or `msgspec.MsgspecError` if it is damaged."""
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
                slot.nano = new.nano
            found[request_id] = slot
        for request_id, slot in found.items():
            if self.slots.get(request_id) is not slot:
                common = slot.decoded()  # even without sums: it may be damaged
                if self.sums is not None:
                    slot.add_to(self.sums.totals(common.group))
        self.slots = found
        self._size = slots_in(content)
        self._find_free()

    def place(self) -> int:
        """Return the number of the slot for the next reservation: if possible, one whose old
        reservation is still in the file, which then needs no other write."""
        if self._ended:
            return next(iter(self._ended))
        return self._free[-1] if self._free else self._size

    def add(self, request_id: str, slot: Slot) -> None:
        """Use a slot, which has the number that `place` has just returned."""
        if self._ended:
            del self._ended[slot.number]
        elif self._free:
            self._free.pop()
        else:
            self._size += 1
        self.slots[request_id] = slot

    def settle(self, request_id: str, nano: int) -> None:
        """Replace what a request has reserved, if anything, by what it has cost."""
        slot = self.slots.get(request_id)
        if slot is not None and slot.nano != nano:
            slot.change(nano - slot.nano)
            slot.nano = nano
            self._settled[request_id] = slot

    def end(self, request_ids: Iterable[str]) -> None:
        """End the reservations of requests, if they have any."""
        for request_id in request_ids:
            slot = self.slots.pop(request_id, None)
            if slot is not None:
                self._settled.pop(request_id, None)
                self._ended[slot.number] = request_id
                slot.change(-slot.nano)

    def unsaved(self) -> Iterator[tuple[int, bytes]]:
        """Yield where in the file, without its header, something has to be written, and what."""
        for slot in self._settled.values():
            yield slot.number * SLOT + NANO_PLACE, NANO.pack(slot.nano)
        for first, size in runs(sorted(self._ended)):
            yield first * SLOT, bytes(size * SLOT)

    def mark_saved(self) -> int | None:
        """Note that everything was written; return how many slots the file should have, if it has
        too many free ones at its end, and None otherwise."""
        self._settled.clear()
        if not self._ended:
            return None
        self._ended.clear()
        used = max((slot.number for slot in self.slots.values()), default=-1) + 1
        too_long = self._size - used > _SPARE
        if too_long:
            self._size = used
        self._find_free()
        return used if too_long else None

    def _find_free(self) -> None:
        used = {slot.number for slot in self.slots.values()}
        used.update(self._ended)
        self._free = [number for number in reversed(range(self._size)) if number not in used]
