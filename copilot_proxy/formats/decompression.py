"""Decompresses bodies in chunks, so that a small body cannot exhaust memory.

The libraries for zstd and brotli are imported only when needed, and the brotli library is optional.
"""

import importlib.util
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Final, Protocol

CHUNK_SIZE: Final = 64 * 1024
"""Maximum number of bytes to decompress at a time; brotli returns up to twice as many."""
MAX_MEMBERS: Final = 1000
"""Maximum number of gzip members or zstd frames in a body; each takes time, even if empty."""
_ZSTD_WINDOW_LOG: Final = 23
"""The largest zstd window allowed for a content encoding: 8 MiB (RFC 9659, section 3)."""


class DecompressionError(ValueError):
    """The data is invalid, or is followed by extra data."""


class _Member(Protocol):
    """A gzip member, a zstd frame, or a whole body in another encoding."""

    @property
    def eof(self) -> bool:
        """Whether the member is complete."""

    @property
    def rest(self) -> bytes:
        """The data after the member, once the member is complete."""

    def decompress(self, data: bytes) -> Iterator[bytes]:
        """Decompress the next part in non-empty chunks. Raises `DecompressionError`."""


class _Zlib:
    """A gzip member, or a deflate body (RFC 1950; some clients send RFC 1951 instead)."""

    def __init__(self, window: int) -> None:
        self._decompressor = zlib.decompressobj(window) if window > 0 else None
        self._head = b""
        self.eof = False
        self.rest = b""

    def decompress(self, data: bytes) -> Iterator[bytes]:
        if self._decompressor is None:
            data = self._head + data
            if len(data) < 2:
                self._head = data
                return
            self._decompressor = zlib.decompressobj(15 if _has_zlib_header(data) else -15)
        full = False
        while (data or full) and not self._decompressor.eof:
            try:
                plain = self._decompressor.decompress(data, CHUNK_SIZE)
            except zlib.error as error:
                raise DecompressionError(str(error)) from None
            if plain:
                yield plain
            full = len(plain) == CHUNK_SIZE
            data = self._decompressor.unconsumed_tail
        self.eof, self.rest = self._decompressor.eof, self._decompressor.unused_data


def _has_zlib_header(data: bytes) -> bool:
    return data[0] & 0x0F == 8 and int.from_bytes(data[:2]) % 31 == 0


class _Zstd:
    """A zstd frame (RFC 8878)."""

    def __init__(self) -> None:
        if sys.version_info >= (3, 14):
            from compression import zstd
        else:
            from backports import zstd
        self._error = zstd.ZstdError
        limit = {int(zstd.DecompressionParameter.window_log_max): _ZSTD_WINDOW_LOG}
        self._decompressor = zstd.ZstdDecompressor(options=limit)
        self.eof = False
        self.rest = b""

    def decompress(self, data: bytes) -> Iterator[bytes]:
        while data or not self._decompressor.needs_input:
            try:
                plain = self._decompressor.decompress(data, CHUNK_SIZE)
            except self._error as error:
                raise DecompressionError(str(error)) from None
            data = b""
            if plain:
                yield plain
            if self._decompressor.eof:
                self.eof, self.rest = True, self._decompressor.unused_data
                return


class _Brotli:
    """A body compressed with Brotli (RFC 7932)."""

    rest = b""  # the library rejects any data after the body

    def __init__(self) -> None:
        import brotli

        self._error = brotli.error
        self._decompressor = brotli.Decompressor()

    @property
    def eof(self) -> bool:
        return bool(self._decompressor.is_finished())

    def decompress(self, data: bytes) -> Iterator[bytes]:
        plain = b" "
        while data or plain:
            try:
                plain = self._decompressor.process(data, output_buffer_limit=CHUNK_SIZE)
            except self._error as error:
                raise DecompressionError(str(error)) from None
            data = b""
            if plain:
                yield plain


_ENCODINGS: Final[Mapping[str, tuple[Callable[[], _Member], int]]] = {
    "gzip": (lambda: _Zlib(31), MAX_MEMBERS),
    "x-gzip": (lambda: _Zlib(31), MAX_MEMBERS),
    "deflate": (lambda: _Zlib(0), 1),
    "zstd": (_Zstd, MAX_MEMBERS),
    "br": (_Brotli, 1),
}
"""The supported content encodings, with the maximum number of members in a body."""
ENCODINGS: Final = frozenset(_ENCODINGS)


def is_installed(encoding: str) -> bool:
    """Return whether the library for one of `ENCODINGS` is installed."""
    return encoding != "br" or importlib.util.find_spec("brotli") is not None


class Decompressor:
    """Decompresses one body in one of `ENCODINGS`, whose library must be installed.

    A gzip body may consist of several members (RFC 1952, section 2.2), and a zstd body of several
    frames, whose contents are concatenated.
    """

    def __init__(self, encoding: str) -> None:
        self._begin, self._members_left = _ENCODINGS[encoding]
        self._member = self._begin()

    @property
    def is_complete(self) -> bool:
        """Whether the body may end here, because the last member is complete."""
        return self._member.eof

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Decompress the next part of the body, in chunks of about `CHUNK_SIZE` bytes.

        Raises `DecompressionError` if the data is invalid, is followed by extra data, or has more
        than `MAX_MEMBERS` members.
        """
        for start in range(0, len(data), CHUNK_SIZE):
            packed = data[start : start + CHUNK_SIZE]
            while packed:
                if self._member.eof:
                    self._begin_member()
                yield from self._member.decompress(packed)
                packed = self._member.rest

    def _begin_member(self) -> None:
        self._members_left -= 1
        if self._members_left < 1:
            raise DecompressionError("too many members, or data after the end")
        self._member = self._begin()
