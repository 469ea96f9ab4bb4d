"""Provides Copilot's short-lived token: caches it, and refreshes it before it expires, with one
exchange at a time."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, Literal

from copilot_proxy.auth import hosts
from copilot_proxy.auth.copilot_token import AuthState, Clock, CopilotToken, TokenSource
from copilot_proxy.auth.credential import Credential
from copilot_proxy.auth.github import GitHub, TokenExchange
from copilot_proxy.auth.rate_limiter import RateLimiter
from copilot_proxy.auth.retries import SHORT, with_retries
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
)
from copilot_proxy.settings import Settings

log = logging.getLogger(__name__)

_REFRESH_LEAD: Final = 60.0
"""How many seconds before the end of `refresh_in` the token is refreshed."""
_MIN_LIFETIME: Final = 30.0
"""Minimum lifetime of a token, and minimum time until its refresh, in seconds; lower values from
GitHub are raised to this."""
_MAX_REFRESH_INTERVAL: Final = 24 * 3600.0
_FORCED_BURST: Final = 5
_FORCED_INTERVAL: Final = 30.0
"""Minimum seconds between renewals after rejected requests, except the first `_FORCED_BURST`."""
_HOST_TIMEOUT: Final = 2.0
"""Maximum seconds for reading the host of the stored credential."""


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
        """`permit` is called before each exchange, and raises an error to prevent it.

        `refused_hint` replaces the hint of `NotSignedIn`.
        """
        self._github = github
        self._load_credential = load_credential
        self._settings = settings
        self._clock = clock or Clock()
        self._refused_hint = refused_hint
        self._permit = permit
        self._token_state = TokenState(self._clock)
        self._forced_renewals = RateLimiter(_FORCED_BURST, _FORCED_INTERVAL, self._clock.monotonic)
        self._host: str | None = None
        self._notice: str | None = None
        """The notice from the previous exchange."""
        self._task: asyncio.Task[CopilotToken | CopilotProxyError] | None = None

    async def token(self) -> CopilotToken:
        """Return the current token.

        A token that is due for a refresh is returned while a new one is fetched in the background.
        After a forbidden request, this waits for the new one, but the old one stays in use if the
        exchange fails. If there is no valid token, this also waits, and raises the error if the
        exchange fails.
        """
        state = self._token_state
        token = state.valid_token()
        if token is not None and state.is_refresh_due():
            exchange = self._exchange_once()
            if state.is_forbidden:
                await asyncio.shield(exchange)
                token = state.valid_token()
        return await self._exchanged() if token is None else token

    def accepted(self, token: CopilotToken) -> None:
        """Report that upstream accepted `token`."""
        self._token_state.accepted(token)

    def forbidden(self, token: CopilotToken) -> None:
        """Report that upstream forbade a request with `token` (403)."""
        self._token_state.forbidden(token)

    async def renew(self, stale: CopilotToken) -> CopilotToken | None:
        """Return a new token after upstream rejected a request that used `stale` (401 or 421).

        Returns None after many such renewals in a short time, since the request itself must then be
        the problem. Raises the error of a failed exchange; other requests keep using `stale` until
        there is a new token.
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
        """Return a token from a newer sign-in than that of `token`, or None.

        Called when `token` is temporarily unusable. The store is read at most once every few
        seconds.
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
        """Return the GitHub host from the settings, or from the stored credential if none is
        set."""
        named = hosts.named_host(self._settings)
        if named is None and self._host is None:
            try:
                async with asyncio.timeout(_HOST_TIMEOUT):
                    self._set_host(await self._load_credential())
            except (CopilotProxyError, TimeoutError):
                log.info(
                    "The GitHub host of the stored token cannot be read; assuming %s.", hosts.GITHUB
                )
        return named or self._host or hosts.GITHUB

    def state(self) -> AuthState:
        """Return the sign-in state without sending a request."""
        token, failure = self._token_state.token, self._token_state.failure
        left = max(token.lifetime - token.age(self._clock), 0.0) if token else None
        error = failure.error if failure else None
        if isinstance(error, NotSignedIn):
            signed_in: Literal["yes", "no", "unknown"] = "no"
        elif token is not None or isinstance(error, NoCopilotAccess):
            signed_in = "yes"
        else:
            signed_in = "unknown"
        return AuthState(signed_in, left, _public_message(error) if error else None)

    async def close(self) -> None:
        """Cancel an exchange in progress."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _exchanged(self) -> CopilotToken:
        """Return the token from the exchange in progress, or from a new one."""
        if self._task is None and (error := self._token_state.recent_failure()) is not None:
            raise self._with_wait(error)
        # Shielded, because other callers may still be waiting for the exchange if this caller is
        # cancelled.
        outcome = await asyncio.shield(self._exchange_once())
        if isinstance(outcome, CopilotProxyError):
            raise self._with_wait(outcome)
        return outcome

    def _with_wait(self, error: CopilotProxyError) -> CopilotProxyError:
        """Return a copy of `error`, with a Retry-After header if the error is temporary.

        Without the header, SDKs would use up their retries before the next exchange.
        """
        error = error.copy()
        if isinstance(error, UpstreamError):
            error.headers.setdefault("retry-after", str(self._token_state.seconds_to_retry()))
        return error

    def _exchange_once(self) -> "asyncio.Task[CopilotToken | CopilotProxyError]":
        if self._task is None:
            self._task = asyncio.create_task(self._exchange())
            self._task.add_done_callback(self._finished)
        return self._task

    def _finished(self, task: "asyncio.Task[CopilotToken | CopilotProxyError]") -> None:
        self._task = None
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("The token exchange failed unexpectedly: %s.", type(error).__name__)

    async def _exchange(self) -> CopilotToken | CopilotProxyError:
        """Exchange the token. Errors are returned, not raised: there may be no caller waiting."""
        credential: Credential | None = None
        try:
            self._token_state.store_read()
            credential = await self._load_credential()
            if credential is None:
                raise NotSignedIn()
            self._set_host(credential)
            if (refusal := self._token_state.recent_failure_of(credential)) is not None:
                return refusal
            self._permit()
            github = self._github.at(credential.host)
            # Retry only if requests are waiting, and only after the first of several failures.
            state = self._token_state
            delays = SHORT if state.valid_token() is None and state.failure is None else ()
            exchange = await with_retries(
                partial(github.exchange, credential.token), delays, sleep=self._clock.sleep
            )
            token = self._copilot_token(exchange, credential)
        except CopilotProxyError as error:
            if isinstance(error, NotSignedIn):
                error.hint = self._refused_hint or self._hint_for(credential) or error.hint
            self._token_state.failed(error, credential)
            log.warning("Cannot get a new Copilot token: %s", _public_message(error))
            return error
        self._token_state.succeeded(token)
        if exchange.notice != self._notice:  # each exchange repeats the notice
            self._notice = exchange.notice
            if exchange.notice is not None:
                log.warning("GitHub says: %s", exchange.notice)
        return token

    def _hint_for(self, credential: Credential | None) -> str | None:
        """Return a hint if the rejected token is in the settings, since signing in cannot replace
        it."""
        if credential is None or credential.source != EnvironmentStore.name:
            return None
        location = EnvironmentStore(self._settings).describe()
        return (
            f"Unset {location}, which overrides any sign-in, and restart the server if it is "
            "running. Then sign in with: copilot-proxy login"
        )

    def _set_host(self, credential: Credential | None) -> None:
        self._host = credential.host if credential else None

    def _copilot_token(self, exchange: TokenExchange, credential: Credential) -> CopilotToken:
        lifetime = max(exchange.lifetime, _MIN_LIFETIME)
        refresh_after = max(
            exchange.refresh_in - _REFRESH_LEAD, exchange.refresh_in / 2, _MIN_LIFETIME
        )
        return CopilotToken(
            value=exchange.token,
            api_url=hosts.copilot_url(
                exchange.api_url,
                copilot_fields(exchange.token),
                credential.host,
                self._settings,
            ),
            refresh_after=min(refresh_after, _MAX_REFRESH_INTERVAL),
            lifetime=lifetime,
            monotonic=self._clock.monotonic(),
            wall=self._clock.wall(),
            github_token=credential.token,
            direct=exchange.direct,
        )


def _public_message(error: CopilotProxyError) -> str:
    """Return a message for `error` that omits any names and paths in the original."""
    if isinstance(error, NoCopilotAccess):
        return "GitHub says that the account has no access to Copilot."
    if isinstance(error, StoreError):
        return "The stored GitHub token could not be read."
    if isinstance(error, UpstreamRefusal):
        return f"GitHub responded with HTTP {error.upstream_status}."
    if isinstance(error, NotSignedIn | UpstreamError):
        return error.message
    return "The Copilot token could not be fetched."


__all__ = ["AuthState", "Clock", "CopilotAuth", "CopilotToken", "TokenSource"]
