"""Tokens that clients send in their requests: GitHub OAuth tokens or Copilot tokens."""

import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from math import ceil
from typing import Final

from copilot_proxy.auth import hosts
from copilot_proxy.auth.copilot_auth import (
    AuthState,
    Clock,
    CopilotAuth,
    CopilotToken,
    TokenSource,
)
from copilot_proxy.auth.credential import Credential
from copilot_proxy.auth.github import GitHub
from copilot_proxy.auth.rate_limiter import RateLimiter
from copilot_proxy.auth.token_kinds import copilot_fields, is_copilot, is_oauth
from copilot_proxy.errors import RequestError
from copilot_proxy.masking import Secret
from copilot_proxy.settings import Settings

_LIMIT: Final = 64
_SCHEMES: Final = ("bearer", "token")
_LEEWAY: Final = 60.0
"""Seconds for which an expired token is still accepted, in case this machine's clock is ahead."""
_BURST: Final = 10
_EXCHANGE_INTERVAL: Final = 10.0
"""Minimum seconds between exchanges, across all callers, after the first `_BURST` exchanges."""
_HINT: Final = (
    "The token was sent with the request. Send a GitHub OAuth token that works with Copilot, or "
    "send any other key to use the server's own account."
)


class CallerTokens:
    """Keeps a `TokenSource` for each caller's token, at most `limit` of them.

    `host` returns the GitHub host that callers' tokens are for. All callers share one rate limit
    for exchanges, because any local program can send made-up tokens.
    """

    def __init__(
        self,
        github: GitHub,
        settings: Settings,
        host: Callable[[], Awaitable[str]],
        *,
        clock: Clock | None = None,
        limit: int = _LIMIT,
    ) -> None:
        self._github = github
        self._settings = settings
        self._host = host
        self._clock = clock or Clock()
        self._exchange_limiter = RateLimiter(_BURST, _EXCHANGE_INTERVAL, self._clock.monotonic)
        self._limit = limit
        self._sources: OrderedDict[bytes, TokenSource] = OrderedDict()

    def for_header(self, value: str | None) -> TokenSource | None:
        """Return the source for the value of an Authorization header, or for a bare token.

        Returns None if `value` is neither a GitHub OAuth token nor a Copilot token. Raises
        `RequestError` (401) for an expired token.
        """
        token = _without_scheme(value or "")
        if is_oauth(token):
            make: Callable[[Secret], TokenSource] = self._for_github_token
        elif is_copilot(token):
            make = self._for_copilot_token
        else:
            return None
        digest = _digest(token)
        if digest not in self._sources:
            source = make(token)
            if len(self._sources) >= self._limit:
                self._evict()
            self._sources[digest] = source
        self._sources.move_to_end(digest)
        return self._sources[digest]

    async def close(self) -> None:
        """Cancel all exchanges in progress."""
        for source in list(self._sources.values()):
            if isinstance(source, CopilotAuth):
                await source.close()

    def _evict(self) -> None:
        """Remove the least recently used source, preferably one without an exchanged token."""
        without_token = (
            digest for digest, source in self._sources.items() if source.state().expires_in is None
        )
        del self._sources[next(without_token, None) or next(iter(self._sources))]

    def _for_github_token(self, token: Secret) -> CopilotAuth:
        async def load() -> Credential:
            return Credential(token, await self._host(), source="request")

        return CopilotAuth(
            self._github,
            load,
            self._settings,
            clock=self._clock,
            refused_hint=_HINT,
            permit=self._permit,
        )

    def _permit(self) -> None:
        """Raise `RequestError` (429) if callers have caused too many exchanges."""
        if wait := ceil(self._exchange_limiter.acquire()):
            raise RequestError(
                "Clients have sent too many different GitHub tokens.",
                hint=f"Try again in {wait} seconds, or send any other key to use the server's own "
                "account.",
                code="too_many_caller_tokens",
                status=429,
                type="rate_limit_error",
                headers={"retry-after": str(wait)},
            )

    def _for_copilot_token(self, token: Secret) -> "CallerCopilotToken":
        fields = copilot_fields(token)
        expires = float(fields["exp"]) if fields["exp"].isdecimal() else 0.0
        if expires + _LEEWAY < self._clock.wall():
            raise _refused("The Copilot token in the request has expired.")

        async def load() -> CopilotToken:
            host = await self._host()
            return CopilotToken(token, hosts.copilot_url(None, fields, host, self._settings))

        return CallerCopilotToken(load)


class CallerCopilotToken:
    """A Copilot token from a request; only the client can renew it."""

    def __init__(self, load: Callable[[], Awaitable[CopilotToken]]) -> None:
        self._load = load
        self._token: CopilotToken | None = None

    async def token(self) -> CopilotToken:
        """Return the token. Raises `SignInError` if the token names a forbidden API host."""
        if self._token is None:
            self._token = await self._load()
        return self._token

    def accepted(self, token: CopilotToken) -> None:
        """Do nothing."""

    def forbidden(self, token: CopilotToken) -> None:
        """Do nothing, because only the client can renew the token."""

    async def renew(self, stale: CopilotToken) -> CopilotToken:
        """Raise `RequestError`, because only the client can renew the token."""
        raise _refused("Copilot does not accept the token in the request.")

    async def successor(self, token: CopilotToken) -> None:
        """Return None, because each token in a request has its own source."""

    def state(self) -> AuthState:
        """Return a state in which everything is unknown."""
        return AuthState("unknown", None, None)


def token_digest(value: str) -> bytes:
    """Return a digest of the token in an Authorization header, or of a bare token."""
    return _digest(_without_scheme(value))


def _digest(token: Secret) -> bytes:
    return hashlib.sha256(token.reveal().encode()).digest()


def _refused(message: str) -> RequestError:
    return RequestError(
        message,
        hint="Send a new token.",
        code="caller_token_refused",
        status=401,
        type="authentication_error",
    )


def _without_scheme(value: str) -> Secret:
    """Return the token without its authentication scheme."""
    value = value.strip()
    scheme, _, rest = value.partition(" ")
    return Secret(rest.strip() if scheme.lower() in _SCHEMES else value)
