"""Tokens that a client sends along: its own GitHub sign-in, or a Copilot token it already has."""

import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable
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
from copilot_proxy.auth.tokens import copilot_fields, is_copilot, is_oauth
from copilot_proxy.errors import RequestError
from copilot_proxy.masking import Secret
from copilot_proxy.settings import Settings

_LIMIT: Final = 64
_SCHEMES: Final = ("bearer", "token")
_LEEWAY: Final = 60.0
"""Seconds that this machine's clock may be ahead."""
_HINT: Final = (
    "It came in the request. Send the token of a GitHub sign-in to Copilot, or any other key to "
    "use the account that the server is signed in to."
)


class CallerTokens:
    """A `TokenSource` for each caller's token, the least recently used forgotten first."""

    def __init__(
        self,
        github: GitHub,
        settings: Settings,
        *,
        clock: Clock | None = None,
        limit: int = _LIMIT,
    ) -> None:
        self._github = github
        self._settings = settings
        self._clock = clock or Clock()
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
            self._sources[digest] = make(token)
            if len(self._sources) > self._limit:
                self._sources.popitem(last=False)
        self._sources.move_to_end(digest)
        return self._sources[digest]

    async def close(self) -> None:
        """Stops exchanges that may be under way."""
        for source in list(self._sources.values()):
            if isinstance(source, CopilotAuth):
                await source.close()

    def _exchanging(self, token: Secret) -> CopilotAuth:
        credential = Credential(token, hosts.host_of(self._settings), source="request")
        return CopilotAuth(
            self._github,
            _constant(credential),
            self._settings,
            clock=self._clock,
            refused_hint=_HINT,
        )

    def _given(self, token: Secret) -> "GivenToken":
        fields = copilot_fields(token)
        expires = float(fields["exp"]) if fields["exp"].isdecimal() else 0.0
        if expires + _LEEWAY < self._clock.wall():
            raise _refused("The Copilot token in the request has expired.")
        host = hosts.host_of(self._settings)
        api_url = hosts.copilot_url(None, fields, host, self._settings)
        return GivenToken(CopilotToken(token, api_url, sku=fields.get("sku")))


class GivenToken:
    """A Copilot token that a client brought along; nobody here can renew it."""

    def __init__(self, token: CopilotToken) -> None:
        self._token = token

    async def token(self) -> CopilotToken:
        """The token as it came."""
        return self._token

    def accepted(self, token: CopilotToken) -> None:
        """Nothing is to be remembered."""

    async def renew(self, stale: CopilotToken) -> CopilotToken:
        """Raises `RequestError`: only the client can get another."""
        raise _refused("Copilot does not accept the token in the request.")

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


def _constant(credential: Credential) -> Callable[[], Awaitable[Credential]]:
    async def load() -> Credential:
        return credential

    return load
