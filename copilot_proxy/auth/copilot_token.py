"""Copilot's short-lived token, and the protocol of its sources."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

from copilot_proxy.masking import Secret


@dataclass(frozen=True)
class Clock:
    """The monotonic clock (may stop while the machine sleeps), the wall clock (may jump), and a
    function that waits."""

    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


@dataclass(frozen=True)
class CopilotToken:
    """A token, together with the host that accepts it."""

    value: Secret
    api_url: str
    """The base URL of the Copilot API, without a trailing slash."""
    refresh_after: float = field(default=0.0, repr=False)
    lifetime: float = field(default=0.0, repr=False)
    monotonic: float = field(default=0.0, repr=False)
    wall: float = field(default=0.0, repr=False)
    github_token: Secret | None = field(default=None, repr=False)
    """The GitHub token that was exchanged for this one; it identifies the sign-in. None for a
    Copilot token sent in a request."""
    direct: bool = field(default=False, repr=False)
    """Whether the token is `github_token` itself."""

    def age(self, clock: Clock) -> float:
        """Return the token's age in seconds, according to whichever clock shows more."""
        return max(clock.monotonic() - self.monotonic, clock.wall() - self.wall)


@dataclass(frozen=True)
class AuthState:
    """The sign-in state. It has no names or secrets, because ``/health`` shows it publicly."""

    signed_in: Literal["yes", "no", "unknown"]
    expires_in: float | None
    """Seconds until the Copilot token expires, or None if there is no token."""
    last_error: str | None


class TokenSource(Protocol):
    """Provides the Copilot token for a request."""

    async def token(self) -> CopilotToken:
        """Return a token that should be valid. Raises `CopilotProxyError`."""
        ...

    def accepted(self, token: CopilotToken) -> None:
        """Report that upstream accepted `token`."""
        ...

    def forbidden(self, token: CopilotToken) -> None:
        """Report that upstream forbade a request with `token` (403)."""
        ...

    async def renew(self, stale: CopilotToken) -> CopilotToken | None:
        """Return a new token after upstream rejected a request that used `stale`.

        Returns None if the client should get the rejection. Raises `CopilotProxyError`.
        """
        ...

    async def successor(self, token: CopilotToken) -> CopilotToken | None:
        """Return a token from a newer sign-in than that of `token`, or None."""
        ...

    def state(self) -> AuthState:
        """Return the sign-in state for ``/health``."""
        ...
