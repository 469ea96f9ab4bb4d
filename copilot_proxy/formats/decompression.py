"""Decompresses gzip and deflate in chunks, so that a small body cannot fill the memory."""

import zlib
from collections.abc import Iterator
from typing import Final

WINDOWS: Final = {"gzip": 31, "x-gzip": 31, "deflate": 15}
"""The supported content encodings and zlib's `wbits` for them."""
CHUNK_SIZE: Final = 64 * 1024
"""The most bytes that are decompressed, or returned, at a time."""
MAX_MEMBERS: Final = 1000
"""The most members of one gzip body: each costs time, even if it is empty."""


class Decompressor:
    """Decompresses one body in one of the encodings of `WINDOWS`.

    A gzip body may have several members in a row, whose contents are joined (RFC 1952, section
    2.2).
    """

    def __init__(self, encoding: str) -> None:
        self._window = WINDOWS[encoding]
        self._decompressor = zlib.decompressobj(self._window)
        self._members_left = MAX_MEMBERS if self._window == WINDOWS["gzip"] else 1

    @property
    def is_complete(self) -> bool:
        """Whether the body may end here: the last member is complete."""
        return self._decompressor.eof

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Decompress the next part of the body, in chunks of at most `CHUNK_SIZE` bytes.

        Raises `zlib.error` if the data is invalid, is followed by something else, or has more than
        `MAX_MEMBERS` members.
        """
        for start in range(0, len(data), CHUNK_SIZE):
            yield from self._decompress(data[start : start + CHUNK_SIZE])

    def _decompress(self, packed: bytes) -> Iterator[bytes]:
        plain = b""
        while packed or len(plain) == CHUNK_SIZE:
            if self._decompressor.eof:
                if not packed:
                    return
                self._begin_member()
            plain = self._decompressor.decompress(packed, CHUNK_SIZE)
            if plain:
                yield plain
            packed = self._decompressor.unconsumed_tail or self._decompressor.unused_data

    def _begin_member(self) -> None:
        self._members_left -= 1
        if self._members_left < 1:
            raise zlib.error("too many members")
        self._decompressor = zlib.decompressobj(self._window)
