"""Keeps secrets out of everything a person or a program may read."""

import re
from typing import Final

_BEGIN: Final = r"(?:(?<![a-z0-9])|(?<=%[0-9a-f]{2}))"
"""Where a word begins, also behind a character that a URL writes as `%20`."""
_SECRETS: Final = re.compile(
    # What follows "Bearer" as a header has it; in a text about bearers, what looks like a secret.
    r"(?-i:(?<=Bearer )|(?<=BEARER ))[^\s\"'<>]{8,}"
    r"|(?<=bearer )(?:(?=[^\s\"'<>]*[\d_])[^\s\"'<>]{8,}|[a-z]{20,})"
    r"|(?:gh[opusr]_|github_pat_)[a-z0-9_]{30,}"
    # Shorter ones, of which a text holds parts, only where a word begins.
    rf"|{_BEGIN}(?:gh[opusr]_|github_pat_)[a-z0-9_.-]{{3,}}[a-z0-9_]"  # GitHub's tokens
    # Copilot's short-lived token, `key=value` pairs and a MAC; also as URLs and some JSON have it.
    rf"|{_BEGIN}tid(?:=|%3d|\\u003d)[^\s\"'<>]+",
    re.IGNORECASE,
)
_MASK: Final = "***"
_SIGNS: Final = (
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
"""One of these, in lower case, is in every text that holds a secret; looking for them is cheap."""
_HELD: Final = 64 * 1024
_HELD_LONGEST: Final = 1024 * 1024


class Secret:
    """A value that shows itself only to whoever calls `reveal`."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself; for an Authorization header or a store, never for a text."""
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
    """`text` with everything that looks like a GitHub or Copilot token replaced by ``***``."""
    return _SECRETS.sub(_MASK, text) if _has_sign(text) else text


class StreamMask:
    """Masks bytes that come in pieces, wherever these are cut.

    No secret reaches over a quote or the end of a line, so what stands before the last of them can
    go on; the rest is held back. A long run without either, as in an image, is let go as far as no
    secret can have begun in it.
    """

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> bytes:
        """What is certain by now, masked."""
        self._held += data
        cut = max(self._held.rfind(b'"'), self._held.rfind(b"\n")) + 1
        if not cut and len(self._held) > _HELD:
            if len(self._held) > _HELD_LONGEST:
                cut = len(self._held)
            elif not _has_sign(self._held.decode("latin-1")):
                cut = len(self._held) - max(map(len, _SIGNS))
        ready = bytes(self._held[:cut])
        del self._held[:cut]
        return _masked(ready)

    def end(self) -> bytes:
        """The rest, masked."""
        rest, self._held = bytes(self._held), bytearray()
        return _masked(rest)


def _has_sign(text: str) -> bool:
    lower = text.lower()
    # A loop of its own: every line of the log comes by here, and a generator costs more than it.
    for sign in _SIGNS:  # noqa: SIM110
        if sign in lower:
            return True
    return False


def _masked(data: bytes) -> bytes:
    # Whatever is no UTF-8 comes out as it went in.
    return mask(data.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
