"""Copilot's short-lived token, always at hand: cached, renewed ahead of time, never in a storm."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, Literal

from copilot_proxy.auth import hosts
from copilot_proxy.auth.copilot_token import AuthState, Clock, CopilotToken, TokenSource
from copilot_proxy.auth.credential import Credential
from copilot_proxy.auth.github import GitHub, TokenExchange
from copilot_proxy.auth.rate_limiter import RateLimiter
from copilot_proxy.auth.stores import EnvironmentStore
from copilot_proxy.auth.token_kinds import copilot_fields
from copilot_proxy.auth.token_state import TokenState
from copilot_proxy.errors import (
    CopilotProxyError,
    NoCopilotAccess,
    NotSignedIn,
    StoreError,
    UpstreamError,
    UpstreamRefusal,
    copy_error,
)
from copilot_proxy.settings import Settings

log = logging.getLogger(__name__)

_EARLY: Final = 60.0
"""Seconds before `refresh_in` at which a new token is fetched."""
_SHORTEST: Final = 30.0
_LONGEST: Final = 24 * 3600.0
_FORCED: Final = 5
_FORCED_EVERY: Final = 30.0
"""Seconds between two renewals that refused requests ask for, after the first `_FORCED`."""
_HOST_WAIT: Final = 2.0
"""Seconds that a store may take to say where the person is signed in."""


class CopilotAuth:
    """The Copilot token of one account."""

    def __init__(
        self,
        github: GitHub,
        load_credential: Callable[[], Awaitable[Credential | None]],
        settings: Settings,
        *,
        clock: Clock | None = None,
        refused_hint: str | None = None,
        permit: Callable[[], None] = lambda: None,
    ) -> None:
        """`permit` is called before GitHub is asked, and raises if it must not be."""
        self._github = github
        self._load_credential = load_credential
        self._settings = settings
        self._clock = clock or Clock()
        self._refused_hint = refused_hint
        self._permit = permit
        self._token_state = TokenState(self._clock)
        self._forced_renewals = RateLimiter(_FORCED, _FORCED_EVERY, self._clock.monotonic)
        self._host: str | None = None
        self._task: asyncio.Task[CopilotToken | CopilotProxyError] | None = None

    async def token(self) -> CopilotToken:
        """The current token. An old one that still works is handed out while its successor is
        fetched in the background; only without a working one is there a wait, or an error."""
        token = self._token_state.valid_token()
        if token is None:
            return await self._exchanged()
        if self._token_state.is_refresh_due():
            self._exchange_once()
        return token

    def accepted(self, token: CopilotToken) -> None:
        """To be told that upstream took `token`."""
        self._token_state.accepted(token)

    async def renew(self, stale: CopilotToken) -> CopilotToken | None:
        """A token other than `stale`, with which upstream has refused a request (401 or 421).

        None if there have been many such renewals lately: then the refusal is about the request.
        Raises our errors if no other token can be had; until there is one, others keep `stale`.
        """
        state = self._token_state
        if state.token is not None and state.token.value != stale.value:
            return state.token
        state.refused()
        asks_github = self._task is None and state.recent_failure() is None
        if state.valid_token() is not None and asks_github and self._forced_renewals.acquire() > 0:
            return None
        return await self._exchanged()

    async def successor(self, token: CopilotToken) -> CopilotToken | None:
        """A token of another sign-in than `token`, if somebody has signed in anew meanwhile.

        To be asked when `token` is of no use now; the store is looked into once in a while only.
        """
        state = self._token_state
        if state.token is not None and state.token.github_token != token.github_token:
            return state.token
        if not state.may_read_store():
            return None
        state.store_read()
        try:
            credential = await self._load_credential()
        except CopilotProxyError:
            return None
        if credential is None or credential.token == token.github_token:
            return None
        outcome = await asyncio.shield(self._exchange_once())
        return outcome if isinstance(outcome, CopilotToken) else None

    async def host(self) -> str:
        """The GitHub host that the person is signed in to, or that the settings name."""
        named = hosts.named_host(self._settings)
        if named is None and self._host is None:
            try:
                async with asyncio.timeout(_HOST_WAIT):
                    self._know_host(await self._load_credential())
            except (CopilotProxyError, TimeoutError):
                log.info("the store did not say which GitHub host the sign-in is for")
        return named or self._host or hosts.GITHUB

    def state(self) -> AuthState:
        """How the sign-in stands, without asking anybody."""
        token, failure = self._token_state.token, self._token_state.failure
        left = max(token.lifetime - token.age(self._clock), 0.0) if token else None
        error = failure.error if failure else None
        if isinstance(error, NotSignedIn):
            signed_in: Literal["yes", "no", "unknown"] = "no"
        elif token is not None or isinstance(error, NoCopilotAccess):
            signed_in = "yes"
        else:
            signed_in = "unknown"
        return AuthState(signed_in, left, _public(error) if error else None)

    async def close(self) -> None:
        """Stops an exchange that may be under way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _exchanged(self) -> CopilotToken:
        """The token of the one exchange that is under way, or of a new one."""
        if self._task is None and (error := self._token_state.recent_failure()) is not None:
            raise copy_error(error)
        # Shielded, since others may wait for the same exchange when this caller gives up.
        outcome = await asyncio.shield(self._exchange_once())
        if isinstance(outcome, CopilotProxyError):
            raise copy_error(outcome)
        return outcome

    def _exchange_once(self) -> "asyncio.Task[CopilotToken | CopilotProxyError]":
        if self._task is None:
            self._task = asyncio.create_task(self._exchange())
            self._task.add_done_callback(self._finished)
        return self._task

    def _finished(self, task: "asyncio.Task[CopilotToken | CopilotProxyError]") -> None:
        self._task = None
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("the token exchange failed unexpectedly: %s", type(error).__name__)

    async def _exchange(self) -> CopilotToken | CopilotProxyError:
        """The exchange itself; its failure is a value, as nobody may be waiting for it."""
        credential: Credential | None = None
        try:
            self._token_state.store_read()
            credential = await self._load_credential()
            if credential is None:
                raise NotSignedIn()
            self._know_host(credential)
            if (refusal := self._token_state.recent_failure_of(credential)) is not None:
                return refusal
            self._permit()
            github = self._github.at(credential.host)
            token = self._made_of(await github.exchange(credential.token), credential)
        except CopilotProxyError as error:
            if isinstance(error, NotSignedIn):
                error.hint = self._refused_hint or self._hint_for(credential) or error.hint
            self._token_state.failed(error, credential)
            log.warning("no new Copilot token: %s", _public(error))
            return error
        self._token_state.succeeded(token)
        return token

    def _hint_for(self, credential: Credential | None) -> str | None:
        """What to do about a refused token that a sign-in would not replace."""
        if credential is None or credential.source != EnvironmentStore.name:
            return None
        place = EnvironmentStore(self._settings).describe()
        return (
            f"{place} is set and wins over a sign-in: unset it. A server that runs has to be "
            "started again. Sign in with: copilot-proxy login"
        )

    def _know_host(self, credential: Credential | None) -> None:
        self._host = credential.host if credential else None

    def _made_of(self, exchange: TokenExchange, credential: Credential) -> CopilotToken:
        lifetime = max(exchange.lifetime, _SHORTEST)
        early = max(exchange.refresh_in - _EARLY, exchange.refresh_in / 2, _SHORTEST)
        return CopilotToken(
            value=exchange.token,
            api_url=hosts.copilot_url(
                exchange.api_url,
                copilot_fields(exchange.token),
                credential.host,
                self._settings,
            ),
            refresh_after=min(early, _LONGEST),
            lifetime=lifetime,
            monotonic=self._clock.monotonic(),
            wall=self._clock.wall(),
            github_token=credential.token,
        )


def _public(error: CopilotProxyError) -> str:
    """`error` without the names and paths that its message may hold."""
    if isinstance(error, NoCopilotAccess):
        return "GitHub says that the account may not use Copilot."
    if isinstance(error, StoreError):
        return "The store of the GitHub token failed."
    if isinstance(error, UpstreamRefusal):
        return f"GitHub answered with HTTP {error.upstream_status}."
    if isinstance(error, NotSignedIn | UpstreamError):
        return error.message
    return "The Copilot token could not be fetched."


__all__ = ["AuthState", "Clock", "CopilotAuth", "CopilotToken", "TokenSource"]
