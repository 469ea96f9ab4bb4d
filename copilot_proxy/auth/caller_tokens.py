"""Tokens that a client sends along: its own GitHub sign-in, or a Copilot token it already has."""

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
"""Seconds that this machine's clock may be ahead."""
_BURST: Final = 10
_EVERY: Final = 10.0
"""Seconds between two exchanges for all callers together, after the first `_BURST`."""
_HINT: Final = (
    "It came in the request. Send the token of a GitHub sign-in to Copilot, or any other key to "
    "use the account that the server is signed in to."
)


class CallerTokens:
    """A `TokenSource` for each caller's token.

    `host` says where a token that comes without a host is from. Any program on the machine can
    send made-up tokens, so all callers share one limit of exchanges.
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
        self._exchange_limiter = RateLimiter(_BURST, _EVERY, self._clock.monotonic)
        self._limit = limit
        self._sources: OrderedDict[bytes, TokenSource] = OrderedDict()

    def for_header(self, value: str | None) -> TokenSource | None:
        """Whose token `value` is: an Authorization header's value, or a bare key.

        None if it is no token of GitHub's. Raises `RequestError` (401) for one that cannot work.
        """
        token = _bare(value or "")
        if is_oauth(token):
            make: Callable[[Secret], TokenSource] = self._exchanging
        elif is_copilot(token):
            make = self._given
        else:
            return None
        digest = hashlib.sha256(token.reveal().encode()).digest()
        if digest not in self._sources:
            made = make(token)
            if len(self._sources) >= self._limit:
                self._forget_one()
            self._sources[digest] = made
        self._sources.move_to_end(digest)
        return self._sources[digest]

    async def close(self) -> None:
        """Stops exchanges that may be under way."""
        for source in list(self._sources.values()):
            if isinstance(source, CopilotAuth):
                await source.close()

    def _forget_one(self) -> None:
        """The least recently used, of those that would cost no exchange if there are any."""
        cheap = (
            digest for digest, source in self._sources.items() if source.state().expires_in is None
        )
        del self._sources[next(cheap, None) or next(iter(self._sources))]

    def _exchanging(self, token: Secret) -> CopilotAuth:
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
        """Raises `RequestError` (429) if the callers have asked GitHub too often."""
        if wait := ceil(self._exchange_limiter.acquire()):
            raise RequestError(
                "The requests bring too many different GitHub tokens.",
                hint=f"Try again in {wait} seconds, or send any other key to use the account that "
                "the server is signed in to.",
                code="too_many_caller_tokens",
                status=429,
                type="rate_limit_error",
                headers={"retry-after": str(wait)},
            )

    def _given(self, token: Secret) -> "GivenToken":
        fields = copilot_fields(token)
        expires = float(fields["exp"]) if fields["exp"].isdecimal() else 0.0
        if expires + _LEEWAY < self._clock.wall():
            raise _refused("The Copilot token in the request has expired.")

        async def load() -> CopilotToken:
            host = await self._host()
            return CopilotToken(token, hosts.copilot_url(None, fields, host, self._settings))

        return GivenToken(load)


class GivenToken:
    """A Copilot token that a client brought along; nobody here can renew it."""

    def __init__(self, load: Callable[[], Awaitable[CopilotToken]]) -> None:
        self._load = load
        self._token: CopilotToken | None = None

    async def token(self) -> CopilotToken:
        """The token as it came. Raises `SignInError` if it names a strange host."""
        if self._token is None:
            self._token = await self._load()
        return self._token

    def accepted(self, token: CopilotToken) -> None:
        """Nothing is to be remembered."""

    async def renew(self, stale: CopilotToken) -> CopilotToken:
        """Raises `RequestError`: only the client can get another."""
        raise _refused("Copilot does not accept the token in the request.")

    async def successor(self, token: CopilotToken) -> None:
        """None: another one would come as another caller's."""

    def state(self) -> AuthState:
        """Nothing is known about it."""
        return AuthState("unknown", None, None)


def _refused(message: str) -> RequestError:
    return RequestError(
        message,
        hint="Send a new one.",
        code="caller_token_refused",
        status=401,
        type="authentication_error",
    )


def _bare(value: str) -> Secret:
    """The token without the scheme in front of it."""
    value = value.strip()
    scheme, _, rest = value.partition(" ")
    return Secret(rest.strip() if scheme.lower() in _SCHEMES else value)
