"""The server's API keys, and the models that each key may use."""

import hashlib
import hmac
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from copilot_proxy.masking import Secret

KEY_HEADERS: Final = (b"x-api-key", b"x-goog-api-key")
"""The headers in which clients send a key, besides ``authorization``."""
MIN_KEY_LENGTH: Final = 8
"""Minimum length in characters of a named key; a shorter one could be guessed."""


@dataclass(frozen=True)
class ApiKey:
    """A key that clients may authenticate with."""

    key: Secret
    name: str | None = None
    """The name shown in the log; None for the key in the setting `api_key`."""
    models: tuple[str, ...] = ()
    """The models that the key may use: ids, aliases, or patterns with ``*``. Empty means all."""

    @cached_property
    def digest(self) -> bytes:
        """The SHA-256 digest of the key."""
        return _digest(self.key.reveal().encode())

    def allows(self, model_id: str, resolve: Callable[[str], str]) -> bool:
        """Return whether the key may use the model with this id.

        `resolve` returns the id of the model that an id or alias in `models` stands for.
        """
        return not self.models or any(
            _matches(pattern, model_id) if "*" in pattern else resolve(pattern) == model_id
            for pattern in self.models
        )


class ApiKeys:
    """The server's API keys. Falsy if there are none, in which case no key is required."""

    def __init__(self, keys: Iterable[ApiKey]) -> None:
        self._keys = [(one.digest, one) for one in keys]

    def __bool__(self) -> bool:
        return bool(self._keys)

    def find(self, candidates: Iterable[bytes]) -> ApiKey | None:
        """Return the first key that equals one of `candidates`, or None.

        Every candidate's digest is compared with every key's in constant time, so the timing
        reveals nothing about a key, not even its length.
        """
        match: ApiKey | None = None
        for candidate in map(_digest, candidates):
            for digest, key in self._keys:
                if hmac.compare_digest(candidate, digest):
                    match = match or key
        return match


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


def _matches(pattern: str, model_id: str) -> bool:
    """Return whether the id matches the pattern, in which only ``*`` is special and matches any
    text."""
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), model_id) is not None
