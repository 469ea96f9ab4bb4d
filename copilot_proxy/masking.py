"""Masks secrets in logs, errors and dumps."""

import re
from typing import Final

_BEGIN: Final = r"(?:(?<![a-z0-9])|(?<=%[0-9a-f]{2}))"
"""The start of a word, also after a percent-encoded character such as `%20`."""
_SECRETS: Final = re.compile(
    # Anything after "Bearer " as in a header; after "bearer " only what looks like a secret, since
    # that may be ordinary text.
    r"(?-i:(?<=Bearer )|(?<=BEARER ))[^\s\"'<>]{8,}"
    r"|(?<=bearer )(?:(?=[^\s\"'<>]*[\d_])[^\s\"'<>]{8,}|[a-z]{20,})"
    r"|(?:gh[opusr]_|github_pat_)[a-z0-9_]{30,}"
    # Shorter tokens, which could be part of a longer word, only at the start of a word.
    rf"|{_BEGIN}(?:gh[opusr]_|github_pat_)[a-z0-9_.-]{{3,}}[a-z0-9_]"  # GitHub's tokens
    # Copilot's short-lived token: `key=value` pairs and a MAC, also URL-encoded or in escaped JSON.
    rf"|{_BEGIN}tid(?:=|%3d|\\u003d)[^\s\"'<>]+",
    re.IGNORECASE,
)
_MASK: Final = "***"
_MARKERS: Final = (
    "bearer ",
    "gho_",
    "ghp_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "tid=",
    "tid%3d",
    "tid\\u003d",
)
"""Every text with a secret contains one of these in lower case; searching for them is cheap."""
_MAX_BUFFER: Final = 64 * 1024
_MAX_BUFFER_WITH_MARKER: Final = 1024 * 1024


class Secret:
    """A secret value that `str` and `repr` do not show; only `reveal` returns it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the value, for an Authorization header or a store; never put it into a message."""
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "Secret('***')" if self._value else "Secret('')"

    __str__ = __repr__


def mask(text: str) -> str:
    """Return `text` with everything that looks like a GitHub or Copilot token as ``***``."""
    return _SECRETS.sub(_MASK, text) if _has_marker(text) else text


class StreamMask:
    """Masks a stream of bytes, even if a secret is split between two chunks.

    A secret never contains a double quote or a line break, so everything up to the last of these
    can be returned; the rest is buffered. If neither occurs for long, as in an image, the buffer is
    returned up to the point where a secret could have started.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> bytes:
        """Add a chunk and return the bytes that are complete, masked."""
        self._buffer += data
        cut = max(self._buffer.rfind(b'"'), self._buffer.rfind(b"\n")) + 1
        if not cut and len(self._buffer) > _MAX_BUFFER:
            if len(self._buffer) > _MAX_BUFFER_WITH_MARKER:
                cut = len(self._buffer)
            elif not _has_marker(self._buffer.decode("latin-1")):
                cut = len(self._buffer) - max(map(len, _MARKERS))
        ready = bytes(self._buffer[:cut])
        del self._buffer[:cut]
        return _masked(ready)

    def end(self) -> bytes:
        """Return the bytes that are still buffered, masked."""
        rest, self._buffer = bytes(self._buffer), bytearray()
        return _masked(rest)


def _has_marker(text: str) -> bool:
    lower = text.lower()
    # A plain loop, because this runs for every log line and `any` with a generator is slower.
    for marker in _MARKERS:  # noqa: SIM110
        if marker in lower:
            return True
    return False


def _masked(data: bytes) -> bytes:
    # Bytes that are not UTF-8 pass through unchanged.
    return mask(data.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
