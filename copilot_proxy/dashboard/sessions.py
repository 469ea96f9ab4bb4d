"""The cookies of browsers that have signed in to the page, for servers with API keys.

A cookie contains its expiry time and the name of its key, and is signed with the key. This way,
nothing needs to be stored, all workers accept the cookie, and the cookie becomes invalid when its
key does.
"""

import base64
import hashlib
import hmac
import logging
import secrets
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from copilot_proxy.api_keys import ApiKey
from copilot_proxy.ledger.digest_key import read_key
from copilot_proxy.masking import Secret

log = logging.getLogger(__name__)

SECONDS: Final = 12 * 3600
"""Seconds for which a cookie is valid."""
_OWNER: Final = ApiKey(Secret(""))
"""A pseudo-key for the user who runs the server, if all keys are named."""


class Sessions:
    """Creates and checks the cookies; `clock` returns seconds since 1970."""

    def __init__(
        self, keys: Iterable[ApiKey], folder: Path, clock: Callable[[], float] = time.time
    ) -> None:
        """`folder` holds the secret that signs the cookies."""
        self._keys = {one.name or "": one for one in keys}
        self._keys.setdefault("", _OWNER)
        self._folder = folder
        self._clock = clock
        self._secret = b""

    @property
    def _name(self) -> str:
        """The cookie's name, different for each server, since browsers share cookies between
        ports."""
        return f"copilot-proxy-{hashlib.sha256(self._signing_key()).hexdigest()[:8]}"

    def cookie(self, key: ApiKey | None, *, https: bool) -> str:
        """Return the value of a ``Set-Cookie`` header; `key` is None for the server's owner."""
        name = (key.name if key is not None else None) or ""
        expires = int(self._clock()) + SECONDS
        payload = f"{expires}.{base64.urlsafe_b64encode(name.encode()).decode().rstrip('=')}"
        value = f"{payload}.{self._signature(payload, self._keys[name])}"
        return self._set_cookie(value, SECONDS, https=https)

    def no_cookie(self, *, https: bool) -> str:
        """Return the value of a ``Set-Cookie`` header that signs the browser out."""
        return self._set_cookie("", 0, https=https)

    def find(self, header: bytes) -> ApiKey | None:
        """Return the key of the valid session cookie in a ``Cookie`` header, or None."""
        for part in header.decode("latin-1").split(";"):
            name, _, value = part.strip().partition("=")
            if name == self._name and (key := self._key(value)) is not None:
                return key
        return None

    def _key(self, value: str) -> ApiKey | None:
        payload, _, signature = value.rpartition(".")
        expires, _, encoded = payload.partition(".")
        try:
            name = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
            key = self._keys[name]
            is_current = self._clock() < int(expires)
            signed = hmac.compare_digest(signature, self._signature(payload, key))
        except (ValueError, KeyError, TypeError):
            return None
        return key if signed and is_current else None

    def _signature(self, payload: str, key: ApiKey) -> str:
        bound = hashlib.sha256(key.key.reveal().encode()).digest()
        message = b"dashboard\0" + bound + payload.encode()
        return hmac.new(self._signing_key(), message, hashlib.sha256).hexdigest()

    def _signing_key(self) -> bytes:
        if not self._secret:
            try:
                self._secret = read_key(self._folder)
            except OSError as error:
                log.warning("Browsers must sign in again after a restart: %s.", error)
                self._secret = secrets.token_bytes(32)
        return self._secret

    def _set_cookie(self, value: str, seconds: int, *, https: bool) -> str:
        secure = "; Secure" if https else ""
        return (
            f"{self._name}={value}; Max-Age={seconds}; Path=/dashboard; HttpOnly; SameSite=Strict"
            f"{secure}"
        )
