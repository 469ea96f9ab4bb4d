"""The current token, and whether it may be used: decisions only, so that tables can test them."""

import secrets
from dataclasses import dataclass
from typing import Final

from copilot_proxy.auth.copilot_token import Clock, CopilotToken
from copilot_proxy.auth.credential import Credential
from copilot_proxy.errors import CopilotProxyError, NoCopilotAccess, NotSignedIn, SignInError

_STORE_INTERVAL: Final = 3.0
"""Seconds between two reads of the store while there is no valid token."""
_STORE_INTERVAL_VALID: Final = 10.0
"""The same while there is one that Copilot refuses for a time."""
_BACKOFF: Final = 2.0
_MAX_BACKOFF: Final = 30.0
"""Longest backoff while requests fail for want of a token."""
_MAX_BACKOFF_VALID: Final = 300.0
"""Longest backoff while the old token still works."""
_REFUSED_BACKOFF: Final = 900.0
"""Seconds that a refused sign-in is not tried again; GitHub may have been wrong about it."""
_NO_ACCESS_BACKOFF: Final = 60.0


@dataclass(frozen=True)
class Failure:
    """Why the last exchange failed, for which GitHub token, and for how long that holds."""

    error: CopilotProxyError
    credential: Credential | None
    monotonic: float
    wall: float
    count: int
    jitter: float

    def age(self, clock: Clock) -> float:
        """Seconds since then, by whichever clock says more: a laptop that slept has waited."""
        return max(clock.monotonic() - self.monotonic, clock.wall() - self.wall)

    def backoff(self, *, has_token: bool) -> float:
        """Seconds until the next try; `has_token` while the old token still works."""
        if isinstance(self.error, NotSignedIn):
            return _REFUSED_BACKOFF if self.credential else _STORE_INTERVAL
        base = _NO_ACCESS_BACKOFF if isinstance(self.error, NoCopilotAccess) else _BACKOFF
        longest = _MAX_BACKOFF_VALID if has_token or base > _BACKOFF else _MAX_BACKOFF
        waits: float = min(base * 2 ** min(self.count - 1, 10), longest) * self.jitter
        asked = self.error.headers.get("retry-after", "")
        return max(waits, float(asked)) if asked.isdigit() else waits


class TokenState:
    """What one account has: a token or none, and why there is no newer one.

    A refusal upstream (401, 421) may be about the token or about the request that met it. Alone
    it takes the token from nobody: a successor does that, or GitHub's word that the sign-in is
    over, or a second refusal while no successor can be had.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._store_read_at = float("-inf")
        self._refusals = 0  # of this token, since upstream last took it
        self.token: CopilotToken | None = None
        self.failure: Failure | None = None

    def valid_token(self) -> CopilotToken | None:
        """The token, if a request may be sent with it."""
        token = self.token
        doubted = self._refusals > 1 and self.failure is not None
        if token is None or doubted or token.age(self._clock) >= token.lifetime:
            return None
        return token

    def is_refresh_due(self) -> bool:
        """Whether a successor of the valid token should be fetched now."""
        token = self.token
        if token is None or token.age(self._clock) < token.refresh_after:
            return False
        return not self._is_backing_off(has_token=True)

    def recent_failure(self) -> CopilotProxyError | None:
        """The last failure, while it is too early even to read the store for another sign-in."""
        if self.failure is None or not self._is_backing_off(has_token=False):
            return None
        is_sign_in = isinstance(self.failure.error, SignInError)
        early = self._clock.monotonic() - self._store_read_at < _STORE_INTERVAL
        return self.failure.error if early or not is_sign_in else None

    def recent_failure_of(self, credential: Credential) -> CopilotProxyError | None:
        """Why this very GitHub token is not tried again yet."""
        failure = self.failure
        if (
            failure is None
            or failure.credential is None
            or not self._is_backing_off(has_token=False)
        ):
            return None
        return failure.error if failure.credential.token == credential.token else None

    def may_read_store(self) -> bool:
        """Whether the store may be read for another sign-in, though there is a token."""
        return self._clock.monotonic() - self._store_read_at >= _STORE_INTERVAL_VALID

    def store_read(self) -> None:
        """The store is being read."""
        self._store_read_at = self._clock.monotonic()

    def accepted(self, token: CopilotToken) -> None:
        """Upstream took `token`: what was refused with it was refused for another reason."""
        if token is self.token:
            self._refusals = 0

    def refused(self) -> None:
        """Upstream refused a request that came with the token."""
        self._refusals += 1

    def succeeded(self, token: CopilotToken) -> None:
        """`token` came out of an exchange."""
        self.token, self.failure, self._refusals = token, None, 0

    def failed(self, error: CopilotProxyError, credential: Credential | None) -> None:
        """An exchange brought none."""
        if self._refusals and isinstance(error, NotSignedIn | NoCopilotAccess):
            self.token = None
        # A doubted token gets another chance after each failure, should it be good after all.
        self._refusals = min(self._refusals, 1)
        before = self.failure
        again = before is not None and type(before.error) is type(error)
        self.failure = Failure(
            error=error,
            credential=credential,
            monotonic=self._clock.monotonic(),
            wall=self._clock.wall(),
            count=before.count + 1 if before and again else 1,
            jitter=0.75 + secrets.randbelow(501) / 1000,
        )

    def _is_backing_off(self, *, has_token: bool) -> bool:
        failure = self.failure
        if failure is None:
            return False
        return failure.age(self._clock) < failure.backoff(has_token=has_token)
