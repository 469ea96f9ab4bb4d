"""Opaque strings that only the simulator can have made, and the way to recognise them again."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets

_SIZE = 12


class Seals:
    """Makes ids, signatures and encrypted contents; each kind is good for one purpose only."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def make(self, purpose: str, size: int) -> str:
        """A new opaque string of about `size` characters."""
        noise = secrets.token_bytes(max(size * 3 // 4 - _SIZE, 9))
        return base64.b64encode(noise + self._seal(purpose, noise)).decode()

    def made(self, purpose: str, text: object) -> bool:
        """Whether `text` was made here for this purpose."""
        if not isinstance(text, str):
            return False
        try:
            raw = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            return False
        return hmac.compare_digest(raw[-_SIZE:], self._seal(purpose, raw[:-_SIZE]))

    def _seal(self, purpose: str, noise: bytes) -> bytes:
        key = self._key + purpose.encode()
        return hashlib.blake2b(noise, digest_size=_SIZE, key=hashlib.sha256(key).digest()).digest()
