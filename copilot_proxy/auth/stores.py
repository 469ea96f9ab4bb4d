"""Where the GitHub token may be, and the order in which those places are asked."""

import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, Self

from copilot_proxy.auth import hosts
from copilot_proxy.auth.credential import Credential, CredentialStore
from copilot_proxy.auth.file_store import FileStore
from copilot_proxy.auth.keyring_store import KeyringStore
from copilot_proxy.auth.threads import in_thread
from copilot_proxy.auth.token_kinds import refuse_personal
from copilot_proxy.errors import StoreError
from copilot_proxy.settings import ENVIRONMENT_PREFIX, Settings

log = logging.getLogger(__name__)

_PLACES: Final = {
    "keyring": "in the keyring",
    "file": "in the token file",
}


class EnvironmentStore:
    """The setting ``GITHUB_TOKEN``, wherever it was set; it is only ever read."""

    name = "environment"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def describe(self) -> str:
        variable = f"{ENVIRONMENT_PREFIX}GITHUB_TOKEN"
        source = self._settings.sources.get("github_token", variable)
        return source if source == variable else f"github_token from {source}"

    def unavailable(self) -> str | None:
        return "A token in the settings is only read, never written."

    def check_writable(self) -> None:
        raise StoreError("A token in the settings is only read, never written.")

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
    """All stores, in the order they are asked; the first that holds a token wins."""

    def __init__(self, stores: Sequence[CredentialStore]) -> None:
        self.stores = tuple(stores)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Environment, keyring, file."""
        return cls((EnvironmentStore(settings), KeyringStore(), FileStore(settings.data_dir)))

    def store(self, name: str) -> CredentialStore:
        """The store of that name."""
        return next(store for store in self.stores if store.name == name)

    def load(self) -> Credential | None:
        """The token to use, its `source` naming the store that answered; None if there is none.

        Raises `NotSignedIn` for a personal access token, and `StoreError` if a store failed and
        none of the others has a token.
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
                log.debug("the GitHub token comes from %s", store.describe())
                if store.name == "environment":
                    refuse_personal(
                        credential.token,
                        where=f"in {store.describe()}",
                        first="Unset it there, since it wins over every sign-in. ",
                    )
                refuse_personal(credential.token, where=_PLACES.get(store.name, "stored"))
                return credential
        if failure is not None:
            raise failure
        return None

    async def load_async(self) -> Credential | None:
        """`load` in a thread, since a keyring may ask its owner first."""
        return await in_thread(self.load)

    def save(self, credential: Credential, name: str) -> list[str]:
        """Keeps `credential` in the store `name` and forgets what others hold, since an older
        token there could win. Returns what could not be forgotten, in sentences."""
        self.store(name).save(credential)
        left: list[str] = []
        for store in self.stores:
            if store.name in (name, "environment"):
                continue
            try:
                store.delete()
            except StoreError as error:
                left.append(error.message)
        return left

    def hosts(self) -> list[str]:
        """The GitHub hosts that the written stores hold tokens of."""
        found: list[str] = []
        for store in self.stores:
            with suppress(StoreError):
                credential = None if store.name == "environment" else store.load()
                if credential is not None and credential.host not in found:
                    found.append(credential.host)
        return found

    def delete(self) -> tuple[list[CredentialStore], list[StoreError]]:
        """Forgets the token everywhere: the stores that held one, and those that failed."""
        held: list[CredentialStore] = []
        failed: list[StoreError] = []
        for store in self.stores:
            try:
                if store.delete():
                    held.append(store)
            except StoreError as error:
                failed.append(error)
        return held, failed


__all__ = [
    "Credential",
    "CredentialStore",
    "Credentials",
    "EnvironmentStore",
    "FileStore",
    "KeyringStore",
]
