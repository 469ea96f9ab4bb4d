"""The stores of the GitHub token, and the order in which they are searched."""

import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, Self

from copilot_proxy.auth import hosts
from copilot_proxy.auth.credential import Credential, CredentialStore
from copilot_proxy.auth.file_store import FileStore
from copilot_proxy.auth.keyring_store import KeyringStore
from copilot_proxy.auth.token_kinds import reject_classic_token
from copilot_proxy.daemon_threads import run_in_thread
from copilot_proxy.errors import StoreError
from copilot_proxy.settings import ENVIRONMENT_PREFIX, Settings

log = logging.getLogger(__name__)

_LOCATIONS: Final = {
    "keyring": "in the keyring",
    "file": "in the token file",
}


_ASIDE_TIMEOUT: Final = 2.0
"""Maximum seconds for a call to the keyring that only concerns an old token."""
_READ_ONLY: Final = "The token in the settings is read-only."


class EnvironmentStore:
    """The setting ``GITHUB_TOKEN``, from any source, as a read-only store."""

    name = "environment"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def describe(self) -> str:
        if "github_token" in self._settings.sources:
            return self._settings.place_of("github_token")
        return f"{ENVIRONMENT_PREFIX}GITHUB_TOKEN"

    def unavailable(self) -> str | None:
        return _READ_ONLY

    def check_writable(self) -> None:
        raise StoreError(_READ_ONLY)

    def load(self) -> Credential | None:
        token = self._settings.github_token
        if token is None:
            return None
        return Credential(token=token, host=hosts.host_of(self._settings), source=self.name)

    def save(self, credential: Credential) -> None:
        self.check_writable()

    def delete(self) -> bool:
        return False


class Credentials:
    """All stores, in the order in which they are searched; the first token found is used."""

    def __init__(self, stores: Sequence[CredentialStore]) -> None:
        self.stores = tuple(stores)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Create the stores: environment, file, keyring.

        The keyring comes last, because it often hangs on machines that keep the token in a file.
        """
        file, keyring = FileStore(settings.data_dir), KeyringStore(profile=settings.profile)
        return cls((EnvironmentStore(settings), file, keyring))

    def in_a_hurry(self) -> Self:
        """Return the same stores, but with a keyring that has no time to ask for a password."""
        return type(self)(
            [
                store.at(_ASIDE_TIMEOUT) if isinstance(store, KeyringStore) else store
                for store in self.stores
            ]
        )

    def store(self, name: str) -> CredentialStore:
        """Return the store called `name`."""
        return next(store for store in self.stores if store.name == name)

    def load(self) -> Credential | None:
        """Return the credential to use, or None if no store has one.

        Raises `NotSignedIn` for a classic personal access token, and `StoreError` if a store failed
        and no other store has a token.
        """
        failure: StoreError | None = None
        for store in self.stores:
            try:
                credential = store.load()
            except StoreError as error:
                log.info("%s", error.message)
                failure = failure or error
                continue
            if credential is not None:
                log.debug("The GitHub token comes from %s.", store.describe())
                if store.name == "environment":
                    reject_classic_token(
                        credential.token,
                        where=f"in {store.describe()}",
                        first="Unset it there, because it overrides every sign-in. ",
                    )
                reject_classic_token(credential.token, where=_LOCATIONS.get(store.name, "stored"))
                return credential
        if failure is not None:
            raise failure
        return None

    async def load_async(self) -> Credential | None:
        """Run `load` in a thread, because a keyring may wait for the user to unlock it."""
        return await run_in_thread(self.load)

    def save(self, credential: Credential, name: str) -> list[str]:
        """Save `credential` in the store `name`, and delete tokens in other stores, which could
        take precedence. Return a sentence for each deletion that failed."""
        self.store(name).save(credential)
        failures: list[str] = []
        for store in self.in_a_hurry().stores:
            if store.name in (name, "environment"):
                continue
            try:
                store.delete()
            except StoreError as error:
                failures.append(error.message)
        return failures

    def hosts(self) -> list[str]:
        """Return the GitHub hosts of the tokens in the writable stores, without duplicates."""
        names: list[str] = []
        for store in self.stores:
            with suppress(StoreError):
                credential = None if store.name == "environment" else store.load()
                if credential is not None and credential.host not in names:
                    names.append(credential.host)
        return names

    def delete(self) -> tuple[list[CredentialStore], list[StoreError]]:
        """Delete the token from all stores. Return the stores that had a token, and all errors."""
        deleted: list[CredentialStore] = []
        errors: list[StoreError] = []
        for store in self.stores:
            try:
                if store.delete():
                    deleted.append(store)
            except StoreError as error:
                errors.append(error)
        return deleted, errors


__all__ = [
    "Credential",
    "CredentialStore",
    "Credentials",
    "EnvironmentStore",
    "FileStore",
    "KeyringStore",
]
