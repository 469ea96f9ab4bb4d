"""A GitHub token with what belongs to it, and what every place that keeps one can do."""

import json
from dataclasses import dataclass
from typing import Protocol

from copilot_proxy.auth import hosts
from copilot_proxy.errors import UsageError
from copilot_proxy.masking import Secret


@dataclass(frozen=True)
class Credential:
    """One account's GitHub token."""

    token: Secret
    host: str = hosts.GITHUB
    """github.com or a GHE.com tenant; decides the URLs that the token is sent to."""
    login: str | None = None
    source: str = ""
    """Name of the store that it came from: ``environment``, ``keyring`` or ``file``."""


class CredentialStore(Protocol):
    """A place that keeps one credential. Methods may block, and raise `StoreError`."""

    name: str

    def describe(self) -> str:
        """Where that is, in words that follow "the token is in"."""
        ...

    def unavailable(self) -> str | None:
        """Why this machine has no such place, in one sentence; None if it has."""
        ...

    def check_writable(self) -> None:
        """Proves that `save` would work."""
        ...

    def load(self) -> Credential | None:
        """What is kept, or None; None as well where the place does not exist."""
        ...

    def save(self, credential: Credential) -> None:
        """Replaces what is kept."""
        ...

    def delete(self) -> bool:
        """Whether there was something to forget."""
        ...


def to_json(credential: Credential) -> str:
    """`credential` as it is kept, with its secret."""
    return json.dumps(
        {
            "version": 1,
            "token": credential.token.reveal(),
            "host": credential.host,
            "login": credential.login,
        }
    )


def from_json(text: str, source: str) -> Credential:
    """What `to_json` made. Raises `ValueError`, without the text, for anything else."""
    try:
        kept = json.loads(text)
        token, host, login = kept["token"], kept.get("host") or hosts.GITHUB, kept.get("login")
        if not (isinstance(token, str) and token and token.isascii() and token.isprintable()):
            raise ValueError
        host = hosts.normalize(host)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, UsageError):
        raise ValueError("not a credential of copilot-proxy") from None
    return Credential(
        token=Secret(token),
        host=host,
        login=login if isinstance(login, str) else None,
        source=source,
    )
