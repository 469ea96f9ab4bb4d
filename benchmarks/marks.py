"""Numbered and timed marks: the text that the fake upstream sends and the load client checks.

A mark is `#000042@0000012345678901234~kdjemqar;`: its position in the stream, the time when it was
sent (nanoseconds of CLOCK_MONOTONIC, which all processes of a machine share; 0 if not measured),
and a word derived from the position. None of its characters is escaped in JSON, so it can be found
in the bytes of any API's stream without decoding them.
"""

import re
from collections.abc import Sequence
from typing import Final

_WORDS: Final = tuple(
    "".join(chr(97 + (number * 7919 >> (3 * index)) % 26) for index in range(8)).encode()
    for number in range(997)
)
MARK: Final = re.compile(rb"#(\d{6})@(\d{19})~([a-z]{8});")
LENGTH: Final = 37
"""Length of a mark in bytes."""
PROMPT: Final = re.compile(rb"bench rate=(\d+) count=(\d+) id=(\d+)")
"""The prompt: events per second (0: as fast as possible), their count, the request's number."""


def mark(index: int, sent: int = 0) -> bytes:
    """Return the mark at `index`, sent at `sent` nanoseconds."""
    return b"#%06d@%019d~%b;" % (index, sent, _WORDS[index % len(_WORDS)])


def make_prompt(*, rate: int, count: int, number: int) -> str:
    """Return the prompt for a stream, or, with a count of 1, for a whole answer."""
    return f"bench rate={rate} count={count} id={number}"


def is_right(index: int, found: Sequence[bytes]) -> bool:
    """Return whether `found`, the groups of a matched mark, belongs at `index`."""
    return int(found[0]) == index and found[2] == _WORDS[index % len(_WORDS)]
