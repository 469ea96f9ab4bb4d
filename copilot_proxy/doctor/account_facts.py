"""Gets the account and its models from GitHub, with as few requests as ``status`` and
``models``."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

from copilot_proxy.auth.account import Account
from copilot_proxy.auth.credential import Credential
from copilot_proxy.auth.reachability import check_reachable
from copilot_proxy.auth.retries import with_retries
from copilot_proxy.auth.stores import (
    Credentials,
    CredentialStore,
    FileStore,
    KeyringStore,
)
from copilot_proxy.catalogue import Catalogue
from copilot_proxy.composition import make_backend
from copilot_proxy.errors import CopilotProxyError, StoreError
from copilot_proxy.settings import Settings

if TYPE_CHECKING:
    from copilot_proxy.composition import Backend

T = TypeVar("T")

KEYRING_SECONDS: Final = 5.0
_CONNECT_SECONDS: Final = 5.0
_READ_SECONDS: Final = 15.0


@dataclass
class AccountFacts:
    """The facts about the account. A fact is None if it is unknown, or an error if reading it
    failed."""

    credential: Credential | CopilotProxyError | None = None
    store: str = ""
    """Where the credential is, as a phrase that completes "in ..."."""
    account: Account | CopilotProxyError | None = None
    catalogue: Catalogue | CopilotProxyError | None = None
    is_keyring_broken: bool = False
    """Whether the credential could not be read because of the keyring."""
    reachable: CopilotProxyError | None = None
    """Why GitHub cannot be reached; only checked if there is no sign-in."""
    clock_offsets: list[float] = field(default_factory=list)
    """Seconds by which this machine's clock was ahead of GitHub's, for each response."""

    @property
    def errors(self) -> list[CopilotProxyError]:
        """The errors that occurred, causes before consequences."""
        parts = (self.credential, self.reachable, self.catalogue, self.account)
        return [part for part in parts if isinstance(part, CopilotProxyError)]


def read_account(settings: Settings) -> AccountFacts:
    """Return the facts. Raises `CopilotProxyError` if no connection can be set up."""
    facts = AccountFacts()
    stores = Credentials(
        [
            store.at(KEYRING_SECONDS) if isinstance(store, KeyringStore) else store
            for store in Credentials.from_settings(settings).stores
        ]
    )
    try:
        facts.credential = stores.load()
    except StoreError as error:
        facts.credential = error
        facts.is_keyring_broken = _can_load(stores.store(FileStore.name))
    except CopilotProxyError as error:
        facts.credential = error
    if isinstance(facts.credential, Credential):
        facts.store = stores.store(facts.credential.source).describe()
    asyncio.run(_ask(_with_short_timeouts(settings), facts))
    return facts


def _can_load(store: CredentialStore) -> bool:
    try:
        store.load()
    except StoreError:
        return False
    return True


def _with_short_timeouts(settings: Settings) -> Settings:
    """Return settings for these few requests: short timeouts, no ledger and no budget."""
    return replace(
        settings,
        connect_timeout=min(settings.connect_timeout, _CONNECT_SECONDS),
        read_timeout=min(settings.read_timeout, _READ_SECONDS),
        ledger=False,
        budget=(),
        upstream="copilot",
    )


async def _ask(settings: Settings, facts: AccountFacts) -> None:
    async def load() -> Credential | None:
        return facts.credential if isinstance(facts.credential, Credential) else None

    backend = make_backend(settings, report=lambda _: None, load=load)
    backend.github.client.event_hooks = {"response": [_clock_reader(facts)]}
    try:
        await _ask_with(backend, facts)
    finally:
        await backend.aclose()


async def _ask_with(backend: "Backend", facts: AccountFacts) -> None:
    credential = facts.credential
    if not isinstance(credential, Credential):
        facts.reachable = await _outcome(check_reachable(backend.github))
        return
    github = backend.github.at(credential.host)
    facts.account, facts.catalogue = await asyncio.gather(
        _outcome(with_retries(lambda: github.copilot_user(credential.token))),
        _outcome(backend.upstream.catalogue()),
    )


async def _outcome(call: Awaitable[T]) -> T | CopilotProxyError:
    try:
        return await call
    except CopilotProxyError as error:
        return error


def _clock_reader(facts: AccountFacts) -> Callable[[Any], Awaitable[None]]:
    async def read(response: Any) -> None:
        try:
            sent = parsedate_to_datetime(response.headers.get("date") or "").timestamp()
        except ValueError:
            return
        facts.clock_offsets.append(time.time() - sent)

    return read
