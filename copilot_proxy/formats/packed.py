"""Unpacks gzip and deflate, piece by piece, so that nothing small fills the memory at once."""

import zlib
from collections.abc import Iterator
from typing import Final

WINDOWS: Final = {"gzip": 31, "x-gzip": 31, "deflate": 15}
"""The encodings, and what zlib calls them (its `wbits`)."""
PIECE: Final = 64 * 1024
"""Bytes that are taken, and given, at once."""
MOST_MEMBERS: Final = 1000
"""Of one gzip body. Each costs some time, however little it holds."""


class Unpacker:
    """What a body in one of the encodings of `WINDOWS` was before it was packed.

    A gzip body may have several members, one after the other (RFC 1952, section 2.2); their
    contents belong together.
    """

    def __init__(self, encoding: str) -> None:
        self._window = WINDOWS[encoding]
        self._unpacker = zlib.decompressobj(self._window)
        self._members_left = MOST_MEMBERS if self._window == WINDOWS["gzip"] else 1

    @property
    def is_complete(self) -> bool:
        """Whether the body may end here."""
        return self._unpacker.eof

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What the next `data` unpack to, in pieces; raises `zlib.error` for what is broken, has
        something else behind it, or too many members."""
        for start in range(0, len(data), PIECE):
            yield from self._fed(data[start : start + PIECE])

    def _fed(self, packed: bytes) -> Iterator[bytes]:
        plain = b""
        while packed or len(plain) == PIECE:
            if self._unpacker.eof:
                if not packed:
                    return
                self._begin_member()
            plain = self._unpacker.decompress(packed, PIECE)
            if plain:
                yield plain
            packed = self._unpacker.unconsumed_tail or self._unpacker.unused_data

    def _begin_member(self) -> None:
        self._members_left -= 1
        if self._members_left < 1:
            raise zlib.error("more than may be")
        self._unpacker = zlib.decompressobj(self._window)
