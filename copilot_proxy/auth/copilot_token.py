"""Copilot's short-lived token as a value, and what everything that has one can do."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

from copilot_proxy.masking import Secret


@dataclass(frozen=True)
class Clock:
    """Both clocks: the monotonic one stops while a laptop sleeps, the other one jumps."""

    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time


@dataclass(frozen=True)
class CopilotToken:
    """A token and the host that it is for; the two never part."""

    value: Secret
    api_url: str
    """Without trailing slash."""
    refresh_after: float = field(default=0.0, repr=False)
    lifetime: float = field(default=0.0, repr=False)
    monotonic: float = field(default=0.0, repr=False)
    wall: float = field(default=0.0, repr=False)
    github_token: Secret | None = field(default=None, repr=False)
    """What it was got with: tells one sign-in from another. None for one that came as it is."""

    def age(self, clock: Clock) -> float:
        """Seconds since it was issued, by whichever clock says more."""
        return max(clock.monotonic() - self.monotonic, clock.wall() - self.wall)


@dataclass(frozen=True)
class AuthState:
    """What ``/health`` may tell anybody: no names, no secrets."""

    signed_in: Literal["yes", "no", "unknown"]
    expires_in: float | None
    """Seconds, None without a token."""
    last_error: str | None


class TokenSource(Protocol):
    """Whoever has a Copilot token for a request."""

    async def token(self) -> CopilotToken:
        """A token that should work. Raises our errors."""
        ...

    def accepted(self, token: CopilotToken) -> None:
        """To be told that upstream took `token`."""
        ...

    async def renew(self, stale: CopilotToken) -> CopilotToken | None:
        """Another one, after upstream refused a request with `stale`; None if that refusal is to
        stand. Raises our errors."""
        ...

    async def successor(self, token: CopilotToken) -> CopilotToken | None:
        """A token of another sign-in than `token`, if there is one by now."""
        ...

    def state(self) -> AuthState:
        """For ``/health``."""
        ...
