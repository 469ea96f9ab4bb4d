"""The chain of hashes through the rows of a day, which shows whether a row was changed later.

The hash of a row covers the row and the hash before it, so a change, a deletion or an insertion
breaks the chain from there on. Each day has its own chain, so that whole days can be removed. It
does not protect against someone who calculates all hashes again.
"""

from hashlib import sha256
from typing import Final

import msgspec

from copilot_proxy.ledger.schema import Row

_encode: Final = msgspec.json.Encoder().encode


def next_hash(previous: bytes, row: Row) -> bytes:
    """Return the hash of `row`, whose predecessor of the same day has the hash `previous`."""
    return hash_of(previous, hashed_part(row))


def hashed_part(row: Row) -> bytes:
    """Return what is hashed of `row`.

    Nulls at the end are left out, so columns that are added there later do not change the hashes of
    older rows.
    """
    end = len(row)
    while row[end - 1] is None:
        end -= 1
    return _encode(row[:end])


def hash_of(previous: bytes, part: bytes) -> bytes:
    """Return the hash of a row from the one before it, and from the hashed part of the row."""
    return sha256(previous + part).digest()
