"""Copilot's short-lived token, always at hand: cached, renewed ahead of time, never in a storm."""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Literal

from copilot_proxy.auth import hosts
from copilot_proxy.auth.copilot_token import AuthState, Clock, CopilotToken, TokenSource
from copilot_proxy.auth.credential import Credential
from copilot_proxy.auth.github import Exchange, GitHub
from copilot_proxy.auth.tokens import copilot_fields
from copilot_proxy.errors import (
    CopilotProxyError,
    NoCopilotAccess,
    NotSignedIn,
    Refused,
    SignInError,
    StoreError,
    UpstreamError,
)
from copilot_proxy.settings import Settings

log = logging.getLogger(__name__)

_EARLY: Final = 60.0
"""Seconds before `refresh_in` at which a new token is fetched."""
_SHORTEST: Final = 30.0
_LONGEST: Final = 24 * 3600.0
_STORE_PAUSE: Final = 3.0
"""Seconds between two looks into the store while there is no usable token."""
_BACK_OFF: Final = 2.0
_BACK_OFF_NEEDED: Final = 30.0
"""Longest pause while requests fail for want of a token."""
_BACK_OFF_SPARE: Final = 300.0
"""Longest pause while the old token still works."""
_REFUSED_PAUSE: Final = 900.0
"""Seconds that a refused token is not tried again; GitHub may have been wrong about it."""
_NO_ACCESS_PAUSE: Final = 60.0
_FRESH: Final = 10.0
"""Seconds within which a refused token counts as just issued: another would not help."""
_FRESH_LONGEST: Final = 300.0


@dataclass(frozen=True)
class _Failure:
    """Why the last exchange failed, for which GitHub token, and for how long that holds."""

    error: CopilotProxyError
    credential: Credential | None
    at: float
    count: int
    jitter: float

    def pause(self, spare: bool) -> float:
        """Seconds until the next try; `spare` while the old token still works."""
        if isinstance(self.error, NotSignedIn):
            return _REFUSED_PAUSE if self.credential else _STORE_PAUSE
        base = _NO_ACCESS_PAUSE if isinstance(self.error, NoCopilotAccess) else _BACK_OFF
        longest = _BACK_OFF_SPARE if spare or base > _BACK_OFF else _BACK_OFF_NEEDED
        waits: float = min(base * 2 ** min(self.count - 1, 10), longest) * self.jitter
        asked = self.error.headers.get("retry-after", "")
        return max(waits, float(asked)) if asked.isdigit() else waits


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
    ) -> None:
        self._github = github
        self._load_credential = load_credential
        self._settings = settings
        self._clock = clock or Clock()
        self._refused_hint = refused_hint
        self._current: CopilotToken | None = None
        self._failure: _Failure | None = None
        self._looked_at = float("-inf")
        self._fresh = _FRESH
        self._renewed = False  # whether the last exchange was forced by a refusal
        self._proven: CopilotToken | None = None
        self._task: asyncio.Task[CopilotToken | CopilotProxyError] | None = None

    async def token(self) -> CopilotToken:
        """The current token. An old one that still works is handed out while its successor is
        fetched in the background; only without a working one is there a wait, or an error."""
        current = self._current
        if current is not None:
            age = current.age(self._clock)
            if age < current.refresh_after:
                return current
            if age < current.lifetime:
                if self._task is None and not self._pausing(spare=True):
                    self._renewed = False
                    self._exchange_once()
                return current
        return await self._exchanged()

    def accepted(self, token: CopilotToken) -> None:
        """To be told that upstream took `token`: it is a good one, should it be refused later."""
        self._proven = token

    async def renew(self, stale: CopilotToken) -> CopilotToken:
        """A token other than `stale`, which upstream has refused (401 or 421).

        A token that has never been accepted, and came out of a renewal itself, is not renewed at
        once: raises `SignInError` until some time has passed, longer each time.
        """
        current = self._current
        if current is not None and current.value != stale.value:
            return current
        if current is None:
            return await self._exchanged()
        age = current.age(self._clock)
        if self._proven is not current and self._renewed and age < self._fresh:
            raise SignInError(
                "Copilot refuses the token that GitHub has just issued.",
                hint="Try again in a few minutes. If it stays so, sign in again with: "
                "copilot-proxy login",
                code="copilot_token_refused",
            )
        # Tokens that never last until their time make the next try wait longer.
        hardly_used = age < min(_FRESH_LONGEST, current.refresh_after)
        self._fresh = min(self._fresh * 2, _FRESH_LONGEST) if hardly_used else _FRESH
        self._current = None
        self._renewed = True
        return await self._exchanged()

    def state(self) -> AuthState:
        """How the sign-in stands, without asking anybody."""
        left = None
        if self._current is not None:
            left = max(self._current.lifetime - self._current.age(self._clock), 0.0)
        error = self._failure.error if self._failure else None
        if isinstance(error, NotSignedIn):
            signed_in: Literal["yes", "no", "unknown"] = "no"
        elif self._current is not None or isinstance(error, NoCopilotAccess):
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
        if self._task is None and self._failure is not None and self._must_wait():
            raise _twin(self._failure.error)
        # Shielded, since others may wait for the same exchange when this caller gives up.
        outcome = await asyncio.shield(self._exchange_once())
        if isinstance(outcome, CopilotProxyError):
            raise _twin(outcome)
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
            self._looked_at = self._clock.monotonic()
            credential = await self._load_credential()
            if credential is None:
                raise NotSignedIn()
            if (refusal := self._remembered(credential)) is not None:
                return refusal
            github = self._github.at(credential.host)
            token = self._made_of(await github.exchange(credential.token), credential)
        except CopilotProxyError as error:
            return self._failed(error, credential)
        self._current, self._failure = token, None
        return token

    def _made_of(self, exchange: Exchange, credential: Credential) -> CopilotToken:
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
            sku=exchange.sku,
            refresh_after=min(early, _LONGEST),
            lifetime=lifetime,
            monotonic=self._clock.monotonic(),
            wall=self._clock.wall(),
        )

    def _failed(self, error: CopilotProxyError, credential: Credential | None) -> CopilotProxyError:
        if isinstance(error, NotSignedIn) and self._refused_hint:
            error.hint = self._refused_hint
        before = self._failure
        again = before is not None and type(before.error) is type(error)
        self._failure = _Failure(
            error=error,
            credential=credential,
            at=self._clock.monotonic(),
            count=before.count + 1 if before and again else 1,
            jitter=0.75 + secrets.randbelow(501) / 1000,
        )
        log.warning("no new Copilot token: %s", _public(error))
        return error

    def _remembered(self, credential: Credential) -> CopilotProxyError | None:
        """Why this very GitHub token is not tried again yet."""
        failure = self._failure
        if failure is None or failure.credential is None or not self._pausing(spare=False):
            return None
        return failure.error if failure.credential.token == credential.token else None

    def _pausing(self, *, spare: bool) -> bool:
        failure = self._failure
        if failure is None:
            return False
        return self._clock.monotonic() - failure.at < failure.pause(spare)

    def _must_wait(self) -> bool:
        """Whether the last failure still stands, and it is too early even to look into the store
        for another token."""
        if self._failure is None or not self._pausing(spare=False):
            return False
        looks_help = isinstance(self._failure.error, SignInError)
        return not looks_help or self._clock.monotonic() - self._looked_at < _STORE_PAUSE


def _twin(error: CopilotProxyError) -> CopilotProxyError:
    """The same error for one more caller, who may add to it and whose traceback is its own."""
    twin = type(error).__new__(type(error), *error.args)
    vars(twin).update(vars(error), headers=dict(error.headers), extra=dict(error.extra))
    return twin


def _public(error: CopilotProxyError) -> str:
    """`error` without the names and paths that its message may hold."""
    if isinstance(error, NoCopilotAccess):
        return "GitHub says that the account may not use Copilot."
    if isinstance(error, StoreError):
        return "The store of the GitHub token failed."
    if isinstance(error, Refused):
        return f"GitHub answered with HTTP {error.upstream_status}."
    if isinstance(error, NotSignedIn | UpstreamError):
        return error.message
    return "The Copilot token could not be fetched."


__all__ = ["AuthState", "Clock", "CopilotAuth", "CopilotToken", "TokenSource"]
