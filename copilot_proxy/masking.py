"""Masks secrets in logs, errors and dumps: known secrets, and text that looks like a secret.

The value of every `Secret` in use is masked, whatever the value looks like. The module keeps weak
references to these secrets.
"""

import json
import re
from typing import Final
from urllib.parse import quote
from weakref import ref

_BEGIN: Final = r"(?:(?<![a-z0-9])|(?<=%[0-9a-f]{2}))"
"""The start of a word, even after a percent-encoded character such as `%20`."""
_SECRETS: Final = re.compile(
    # After "Bearer ", as in a header, this matches anything. After "bearer ", which may be ordinary
    # text, it only matches what looks like a secret.
    r"(?-i:(?<=Bearer )|(?<=BEARER ))[^\s\"'<>]{8,}"
    r"|(?<=bearer )(?:(?=[^\s\"'<>]*[\d_])[^\s\"'<>]{8,}|[a-z]{20,})"
    r"|(?:gh[opusr]_|github_pat_)[a-z0-9_]{30,}"
    # Shorter tokens could be part of a longer word, so they only match at the start of a word.
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
"""Any text that `_SECRETS` matches contains one of these, ignoring case; they are fast to find."""
_MIN_LENGTH: Final = 8
"""The minimum length of secrets that are masked by value; shorter values may be ordinary words."""
_MAX_BUFFER: Final = 64 * 1024
_MAX_BUFFER_WITH_MARKER: Final = 1024 * 1024


class Secret:
    """A secret value that `str` and `repr` do not show; only `reveal` returns it."""

    __slots__ = ("__weakref__", "_forms", "_value")

    def __init__(self, value: str) -> None:
        self._value = value
        self._forms: tuple[str, ...] | None = None
        if len(value) >= _MIN_LENGTH:
            _in_use.add(self)

    def reveal(self) -> str:
        """Return the value, for an Authorization header or a store; never put it in a message."""
        return self._value

    @property
    def forms(self) -> tuple[str, ...]:
        """The forms in which the value may appear in text, a URL or JSON; all in lowercase."""
        if self._forms is None:
            value = self._value
            in_json = json.dumps(value)[1:-1]
            in_urls = (quote(value), quote(value, safe=""))
            escaped = (in_json.replace("/", "\\/"), in_json.replace("=", "\\u003d"))
            written = (value, *in_urls, in_json, *escaped)
            self._forms = tuple(dict.fromkeys(one.lower() for one in written))
        return self._forms

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> tuple[type["Secret"], tuple[str]]:
        return Secret, (self._value,)

    def __repr__(self) -> str:
        return "Secret('***')" if self._value else "Secret('')"

    __str__ = __repr__


class _SecretsInUse:
    """All existing secrets and their forms; every log line is searched for the forms."""

    def __init__(self) -> None:
        self._secrets: dict[int, ref[Secret]] = {}
        self._version = object()
        """An object that is replaced by a new one whenever the secrets change."""
        self._collected: tuple[object, tuple[str, ...]] = (None, ())
        """The version for which the forms were collected, and the forms."""

    def add(self, secret: Secret) -> None:
        """Add a secret, which is removed when it is garbage-collected."""
        number = id(secret)

        def remove(_: object) -> None:
            self._secrets.pop(number, None)
            self._version = object()

        self._secrets[number] = ref(secret, remove)
        self._version = object()

    def forms(self) -> tuple[str, ...]:
        """Return all forms of all secrets."""
        version, forms = self._collected
        if version is not self._version:
            version = self._version  # read first, since another thread may add a secret
            secrets = [one() for one in list(self._secrets.values())]
            forms = tuple(form for one in secrets if one is not None for form in one.forms)
            self._collected = version, forms
        return forms


_in_use: Final = _SecretsInUse()


def mask(text: str) -> str:
    """Return `text` with ``***`` in place of all secrets: those in use, and any text that looks
    like a GitHub or Copilot token."""
    lower = text.lower()
    for form in _in_use.forms():
        if form in lower:
            text = _without_values(text, lower)
            break
    return _SECRETS.sub(_MASK, text) if _has_marker(lower) else text


def _without_values(text: str, lower: str) -> str:
    found = [form for form in _in_use.forms() if form in lower]
    for form in sorted(found, key=len, reverse=True):  # a form may contain another
        # Ignore case: a secret may be part of a host name, which is lowercased.
        text = re.sub(re.escape(form), _MASK, text, flags=re.IGNORECASE)
    return text


class StreamMask:
    """Masks a stream of bytes, even if a secret is split between two chunks.

    A secret never contains a double quote or a line break, so everything up to the last such
    character can be returned; any later text is buffered. If neither occurs for a while, as in an
    image, the buffer is returned up to the point where a secret could have started.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> bytes:
        """Add a chunk, and return the complete part of the buffer, masked."""
        self._buffer += data
        cut = max(self._buffer.rfind(b'"'), self._buffer.rfind(b"\n")) + 1
        if not cut and len(self._buffer) > _MAX_BUFFER:
            if len(self._buffer) > _MAX_BUFFER_WITH_MARKER:
                cut = len(self._buffer)
            elif not _has_marker(self._buffer.decode("latin-1").lower()):
                # The rest may be the start of a marker, or of a secret in use.
                self._buffer = bytearray(_masked(bytes(self._buffer)))
                longest = max(map(len, (*_MARKERS, *_in_use.forms())))
                cut = max(0, len(self._buffer) - longest)
        ready = bytes(self._buffer[:cut])
        del self._buffer[:cut]
        return _masked(ready)

    def end(self) -> bytes:
        """Return the remaining buffer, masked."""
        rest, self._buffer = bytes(self._buffer), bytearray()
        return _masked(rest)


def _has_marker(lower: str) -> bool:
    # A plain loop, because this runs for every log line and `any` with a generator is slower.
    for marker in _MARKERS:  # noqa: SIM110
        if marker in lower:
            return True
    return False


def _masked(data: bytes) -> bytes:
    # Invalid UTF-8 passes through unchanged.
    return mask(data.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
