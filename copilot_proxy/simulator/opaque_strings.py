"""Signed opaque strings, which the simulator can recognize when they are sent back."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets

_SIZE = 12


class OpaqueStrings:
    """Creates and verifies ids, signatures and encrypted content, each valid for one purpose."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def make(self, purpose: str, size: int, *, mark: bytes = b"") -> str:
        """Return a new opaque string of about `size` characters that contains `mark`."""
        salt = mark + secrets.token_bytes(max(size * 3 // 4 - _SIZE - len(mark), 9))
        return base64.b64encode(salt + self._signature(purpose, salt)).decode()

    @staticmethod
    def mark(text: str, size: int) -> bytes:
        """Return the `size`-byte mark that a string was created with."""
        return base64.b64decode(text)[:size]

    def is_valid(self, purpose: str, text: object) -> bool:
        """Return whether `text` is a string that `make` returned for this purpose."""
        if not isinstance(text, str):
            return False
        try:
            raw = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            return False
        return hmac.compare_digest(raw[-_SIZE:], self._signature(purpose, raw[:-_SIZE]))

    def _signature(self, purpose: str, salt: bytes) -> bytes:
        key = self._key + purpose.encode()
        return hashlib.blake2b(salt, digest_size=_SIZE, key=hashlib.sha256(key).digest()).digest()
