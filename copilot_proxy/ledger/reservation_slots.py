"""How a reservation is stored in a slot of the file with the reservations."""

import struct
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from copilot_proxy.ledger.reservation import Reservation
from copilot_proxy.ledger.reserved_sums import Total

SLOT: Final = 1024
"""A divisor of the size of a page: what is written there is written completely or not at all."""
_LENGTHS: Final = struct.Struct("<BHq")
"""At the start of a slot: the lengths of the request's id and of the encoded reservation, which
follow, and what is reserved in nano-AIU. The lengths are zero if the slot is free."""
NANO: Final = struct.Struct("<q")
"""What is reserved, which is at `NANO_PLACE` in a slot."""
NANO_PLACE: Final = _LENGTHS.size - NANO.size
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Reservation).decode


class Slot:
    """A slot that is used."""

    __slots__ = ("encoded", "nano", "number", "totals")

    def __init__(self, number: int, nano: int, encoded: bytes) -> None:
        self.number = number
        self.nano = nano
        self.encoded = encoded
        """The reservation, with what was reserved at first."""
        self.totals: Sequence[Total] = ()
        """What `nano` was added to."""

    @classmethod
    def of(cls, one: Reservation, number: int) -> "Slot":
        """Return the slot with this number, which has a new reservation."""
        return cls(number, one.nano_aiu, _encode(one))

    def packed(self, request_id: str) -> bytes:
        """Return the bytes of the slot, as far as it is used."""
        id = request_id.encode()
        return _LENGTHS.pack(len(id), len(self.encoded), self.nano) + id + self.encoded

    @property
    def reservation(self) -> Reservation:
        """The reservation, with what is reserved now."""
        return _decode(self.encoded)._replace(nano_aiu=self.nano)

    def add_to(self, totals: Sequence[Total]) -> None:
        """Add what is reserved to `totals`."""
        self.totals = totals
        self.change(self.nano)

    def change(self, nano: int) -> None:
        """Add `nano` to the totals that this slot counts towards."""
        for total in self.totals:
            total[0] += nano


def parse(content: bytes) -> dict[str, Slot]:
    """Return the slots that are used, by request; `content` is the file without the header.

    Raises `struct.error` or `ValueError` if it is damaged.
    """
    slots = {}
    for number in range(slots_in(content)):
        start = number * SLOT
        id_length, length, nano = _LENGTHS.unpack_from(content, start)
        if length:
            start += _LENGTHS.size
            middle = start + id_length
            request_id = content[start:middle].decode()
            slots[request_id] = Slot(number, nano, content[middle : middle + length])
    return slots


def slots_in(content: bytes) -> int:
    """Return how many slots `content` has."""
    return -(-len(content) // SLOT)  # the last one may be shorter


def runs(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield the first of each series of consecutive numbers, and how many they are."""
    first = 0
    for place in range(1, len(numbers) + 1):
        if place == len(numbers) or numbers[place] != numbers[place - 1] + 1:
            yield numbers[first], place - first
            first = place
