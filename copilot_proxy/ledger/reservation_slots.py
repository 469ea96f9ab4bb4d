"""The format of a reservation in a slot of the reservation file."""

import struct
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from copilot_proxy.ledger.reservation import Common, Reservation, reservation_of
from copilot_proxy.ledger.reserved_sums import Total

SLOT: Final = 1024
"""Size in bytes of a slot. It divides the page size, so that a slot is written whole or not at
all."""
_START: Final = struct.Struct("<BHqq")
"""The start of a slot: the lengths of the request id and of the encoded `Common`; the time when the
request was started; and the reserved amount in nano-AIU. The id and the `Common` follow. In a free
slot, the lengths are zero. The amount of a completed request is stored as its complement, which is
negative."""
NANO: Final = struct.Struct("<q")
"""The reserved amount, at `NANO_OFFSET` in a slot."""
NANO_OFFSET: Final = _START.size - NANO.size
_pack: Final = _START.pack
encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Common).decode


class Slot(msgspec.Struct, gc=False):
    """A used slot."""

    number: int
    nano: int
    """The reserved amount in nano-AIU."""
    started_us: int
    common: bytes
    """The encoded `Common`."""
    totals: Sequence[Total] = ()
    """The totals that `nano` was added to."""
    has_ended: bool = False
    """Whether the request is completed, so that the amount is spent and only lacks a row."""

    def packed(self, request_id: str) -> bytes:
        """Return the bytes of the slot, without the unused space at its end."""
        id, common = request_id.encode(), self.common
        return _pack(len(id), len(common), self.started_us, self.stored_nano) + id + common

    @property
    def stored_nano(self) -> int:
        """The reserved amount as stored in the file."""
        return ~self.nano if self.has_ended else self.nano

    def reservation(self, request_id: str) -> Reservation:
        """Return the reservation with its current amount. Raises `msgspec.MsgspecError`."""
        return reservation_of(
            request_id, self.started_us, self.nano, self.decoded(), self.has_ended
        )

    def decoded(self) -> Common:
        """Return the decoded `Common`; raises `msgspec.MsgspecError`."""
        return _decode(self.common)

    def add_to(self, totals: Sequence[Total]) -> None:
        """Add the reserved amount to `totals`."""
        self.totals = totals
        self.change(self.nano)

    def change(self, nano: int) -> None:
        """Add `nano` to the totals that the reserved amount counts toward."""
        for total in self.totals:
            total[0] += nano


def parse(content: bytes) -> dict[str, Slot]:
    """Return the used slots by request id; `content` is the file without the header.

    Raises `struct.error` or `ValueError` if the content is damaged.
    """
    slots = {}
    for number in range(slots_in(content)):
        start = number * SLOT
        id_length, length, started_us, nano = _START.unpack_from(content, start)
        if length:
            start += _START.size
            middle = start + id_length
            request_id = content[start:middle].decode()
            common = content[middle : middle + length]
            amount = ~nano if nano < 0 else nano
            slots[request_id] = Slot(number, amount, started_us, common, (), nano < 0)
    return slots


def slots_in(content: bytes) -> int:
    """Return the number of slots in `content`."""
    return -(-len(content) // SLOT)  # the last one may be shorter


def runs(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield each run of consecutive numbers as its first number and its length."""
    first = 0
    for index in range(1, len(numbers) + 1):
        if index == len(numbers) or numbers[index] != numbers[index - 1] + 1:
            yield numbers[first], index - first
            first = index
