"""Keeps secrets out of everything a person or a program may read."""

import re
from typing import Final

_SECRETS: Final = re.compile(
    # What follows "Bearer" as a header has it; in a text about bearers, what looks like a secret.
    r"(?-i:(?<=Bearer )|(?<=BEARER ))[^\s\"'<>]{8,}"
    r"|(?<=bearer )(?:(?=[^\s\"'<>]*[\d_])[^\s\"'<>]{8,}|[a-z]{20,})"
    r"|(?:gh[opusr]_|github_pat_)[a-z0-9_]{30,}"
    # Shorter ones, of which a text holds parts, only where a word begins.
    r"|(?<![a-z0-9])(?:gh[opusr]_|github_pat_)[a-z0-9_.-]{3,}[a-z0-9_]"  # GitHub's tokens
    r"|\btid=[^\s\"'<>]+",  # Copilot's short-lived token, `key=value` pairs and a MAC
    re.IGNORECASE,
)
_MASK: Final = "***"


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
    return _SECRETS.sub(_MASK, text)
