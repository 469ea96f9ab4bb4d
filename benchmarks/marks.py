"""The text that the fake upstream sends and the load client checks: numbered, timed marks.

A mark is `#000042@0000012345678901234~kdjemqar;`: its place in the stream, the moment it was sent
(nanoseconds of CLOCK_MONOTONIC, which all processes of a machine share; 0 where nobody asks), and
a word that follows from the place. No character of it is escaped in JSON, so that it can be found
in the bytes of any API's stream without decoding them.
"""

import re
from collections.abc import Sequence
from typing import Final

_WORDS: Final = tuple(
    "".join(chr(97 + (number * 7919 >> (3 * place)) % 26) for place in range(8)).encode()
    for number in range(997)
)
MARK: Final = re.compile(rb"#(\d{6})@(\d{19})~([a-z]{8});")
LENGTH: Final = 37
"""Bytes of one mark."""
ORDER: Final = re.compile(rb"bench rate=(\d+) count=(\d+) id=(\d+)")
"""What a prompt asks for: events a second (0: as fast as they go), how many, and whose they are."""


def mark(place: int, sent: int = 0) -> bytes:
    """The mark at `place`, sent at `sent`."""
    return b"#%06d@%019d~%b;" % (place, sent, _WORDS[place % len(_WORDS)])


def order(*, rate: int, count: int, number: int) -> str:
    """The prompt that asks for a stream (or with a count of 1 for a whole answer)."""
    return f"bench rate={rate} count={count} id={number}"


def is_right(place: int, found: Sequence[bytes]) -> bool:
    """Whether `found`, the groups of a mark, is the one that belongs at `place`."""
    return int(found[0]) == place and found[2] == _WORDS[place % len(_WORDS)]
