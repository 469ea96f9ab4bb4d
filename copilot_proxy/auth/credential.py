"""The credential of a GitHub account, its JSON form, and the protocol of credential stores."""

import json
from dataclasses import dataclass
from typing import Protocol

from copilot_proxy.auth import hosts
from copilot_proxy.errors import UsageError
from copilot_proxy.masking import Secret


@dataclass(frozen=True)
class Credential:
    """The GitHub token of one account."""

    token: Secret
    host: str = hosts.GITHUB
    """github.com or a GHE.com tenant; determines which URLs the token is sent to."""
    login: str | None = None
    source: str = ""
    """The store that holds the token (``environment``, ``keyring``, ``file``), or ``request`` if a
    client sent the token."""


class CredentialStore(Protocol):
    """A store for one credential. All methods may block, and may raise `StoreError`."""

    name: str

    def describe(self) -> str:
        """Return the store's location as a phrase that completes "The token is in ..."."""
        ...

    def unavailable(self) -> str | None:
        """Return a sentence that says why this machine has no such store, or None if it has one."""
        ...

    def check_writable(self) -> None:
        """Check that `save` would succeed. Raises `StoreError`."""
        ...

    def load(self) -> Credential | None:
        """Return the credential, or None if the store is empty or does not exist."""
        ...

    def save(self, credential: Credential) -> None:
        """Save the credential, replacing any existing one."""
        ...

    def delete(self) -> bool:
        """Delete the credential, and return whether there was one."""
        ...


def to_json(credential: Credential) -> str:
    """Return the JSON form of `credential`, including the secret."""
    return json.dumps(
        {
            "version": 1,
            "token": credential.token.reveal(),
            "host": credential.host,
            "login": credential.login,
        }
    )


def from_json(text: str, source: str) -> Credential:
    """Parse the result of `to_json`. Raises a `ValueError` that does not quote the text."""
    try:
        data = json.loads(text)
        token, host, login = data["token"], data.get("host") or hosts.GITHUB, data.get("login")
        if not (isinstance(token, str) and token and token.isascii() and token.isprintable()):
            raise ValueError
        host = hosts.normalize(host)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, UsageError):
        raise ValueError("not a copilot-proxy credential") from None
    return Credential(
        token=Secret(token),
        host=host,
        login=login if isinstance(login, str) else None,
        source=source,
    )
