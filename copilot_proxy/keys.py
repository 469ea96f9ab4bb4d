"""The keys of the server's own: whose each is, which one a request showed, and what it opens."""

import hashlib
import hmac
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from copilot_proxy.masking import Secret

SHORTEST: Final = 8
"""Characters of a named key; a shorter one is guessed."""


@dataclass(frozen=True)
class ApiKey:
    """A key that clients may send."""

    key: Secret
    name: str | None = None
    """For the log; None for the one of the setting `api_key`."""
    models: tuple[str, ...] = ()
    """The only models that it opens: ids, names that mean a model, or patterns with ``*``. All if
    there are none."""

    def allows(self, model_id: str, meaning: Callable[[str], str]) -> bool:
        """Whether it opens the model; `meaning` gives the id that a name stands for."""
        return not self.models or any(
            _fits(pattern, model_id) if "*" in pattern else meaning(pattern) == model_id
            for pattern in self.models
        )


class Keys:
    """All keys of a server; false if there are none and everybody may come in."""

    def __init__(self, keys: Iterable[ApiKey]) -> None:
        self._keys = [(_digest(one.key.reveal().encode()), one) for one in keys]

    def __bool__(self) -> bool:
        return bool(self._keys)

    def find(self, given: Iterable[bytes]) -> ApiKey | None:
        """The key that one of the texts `given` is.

        Each is compared with each key to the last byte, so that the time tells nothing, not even
        how long a key is.
        """
        found: ApiKey | None = None
        for digest in map(_digest, given):
            for known, key in self._keys:
                if hmac.compare_digest(digest, known):
                    found = found or key
        return found


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


def _fits(pattern: str, model_id: str) -> bool:
    """``*`` stands for any text, and nothing else for anything but itself."""
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), model_id) is not None
