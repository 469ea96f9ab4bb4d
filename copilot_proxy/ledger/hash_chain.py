"""The chain of hashes over the rows of a day, which reveals later changes.

The hash of a row covers the row and the previous hash, so a change, deletion or insertion breaks
the chain from there on. Each day has its own chain, so that whole days can be removed. The
chain does not protect against someone who recalculates all hashes.
"""

from hashlib import sha256
from typing import Final

import msgspec

from copilot_proxy.ledger.schema import Row

_encode: Final = msgspec.json.Encoder().encode


def next_hash(previous: bytes, row: Row) -> bytes:
    """Return the hash of `row`; `previous` is the hash of the row before it on the same day."""
    return hash_of(previous, hashed_part(row))


def hashed_part(row: Row) -> bytes:
    """Return the part of `row` that is hashed.

    Nulls at the end are left out, so that columns appended later do not change the hashes of older
    rows.
    """
    end = len(row)
    while row[end - 1] is None:
        end -= 1
    return _encode(row[:end])


def hash_of(previous: bytes, part: bytes) -> bytes:
    """Return the hash of a row from the hash of the row before it and its own `hashed_part`."""
    return sha256(previous + part).digest()
