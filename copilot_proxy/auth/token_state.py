"""The state of the token: whether it is usable, and when to renew it. No I/O."""

import math
import secrets
from dataclasses import dataclass
from typing import Final

from copilot_proxy.auth.copilot_token import Clock, CopilotToken
from copilot_proxy.auth.credential import Credential
from copilot_proxy.errors import CopilotProxyError, NoCopilotAccess, NotSignedIn, SignInError

_STORE_INTERVAL: Final = 3.0
"""Minimum seconds between reads of the store while there is no valid token."""
_STORE_INTERVAL_VALID: Final = 10.0
"""Minimum seconds between reads of the store during a cooldown, while the token is still valid."""
_BACKOFF: Final = 2.0
_MAX_BACKOFF: Final = 30.0
"""Maximum backoff in seconds while there is no valid token."""
_MAX_BACKOFF_VALID: Final = 300.0
"""Maximum backoff in seconds while the old token is still valid."""
_REFUSED_BACKOFF: Final = 900.0
"""Seconds until a rejected sign-in is tried again, in case GitHub was wrong to reject it."""
_NO_ACCESS_BACKOFF: Final = 60.0
_FORBIDDEN_AGE: Final = 60.0
"""Minimum age in seconds of a token that is replaced because Copilot forbade a request."""


@dataclass(frozen=True)
class Failure:
    """The failure of the last exchange, and the GitHub token that was used."""

    error: CopilotProxyError
    credential: Credential | None
    monotonic: float
    wall: float
    count: int
    jitter: float

    def age(self, clock: Clock) -> float:
        """Return the seconds since the failure, according to whichever clock shows more."""
        return max(clock.monotonic() - self.monotonic, clock.wall() - self.wall)

    def backoff(self, *, has_token: bool) -> float:
        """Return the seconds to wait after the failure; `has_token` is True while the old token is
        valid."""
        if isinstance(self.error, NotSignedIn):
            return _REFUSED_BACKOFF if self.credential else _STORE_INTERVAL
        base = _NO_ACCESS_BACKOFF if isinstance(self.error, NoCopilotAccess) else _BACKOFF
        longest = _MAX_BACKOFF_VALID if has_token or base > _BACKOFF else _MAX_BACKOFF
        waits: float = min(base * 2 ** min(self.count - 1, 10), longest) * self.jitter
        asked = self.error.headers.get("retry-after", "")
        return max(waits, float(asked)) if asked.isdigit() else waits


class TokenState:
    """An account's token and the last failure to renew it; either may be missing.

    If Copilot rejects a request (401, 421), either the token or the request may be at fault, so a
    single rejection does not invalidate the token. A new token replaces the rejected one. Without a
    new token, the rejected one is dropped if GitHub says that the sign-in is no longer valid, or if
    Copilot rejects it again.

    If Copilot forbids a request (403), a new token is due before the next one, because a token
    contains what the account was allowed when it was issued.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._store_read_at = float("-inf")
        self._refusals = 0  # number of refusals since upstream last accepted this token
        self.is_forbidden = False
        self.token: CopilotToken | None = None
        self.failure: Failure | None = None

    def valid_token(self) -> CopilotToken | None:
        """Return the token, or None if requests must not be sent with it."""
        token = self.token
        doubted = self._refusals > 1 and self.failure is not None
        if token is None or doubted or token.age(self._clock) >= token.lifetime:
            return None
        return token

    def is_refresh_due(self) -> bool:
        """Return whether a new token should be fetched now to replace the valid one."""
        token = self.token
        if token is None:
            return False
        if token.age(self._clock) < token.refresh_after and not self.is_forbidden:
            return False
        return not self._is_backing_off(has_token=True)

    def recent_failure(self) -> CopilotProxyError | None:
        """Return the last error if it is too early to try again, otherwise None.

        After a sign-in error, the store may be read again within seconds, because the user may have
        signed in since.
        """
        if self.failure is None or not self._is_backing_off(has_token=False):
            return None
        is_sign_in = isinstance(self.failure.error, SignInError)
        early = self._clock.monotonic() - self._store_read_at < _STORE_INTERVAL
        return self.failure.error if early or not is_sign_in else None

    def seconds_to_retry(self) -> int:
        """Return the seconds until an exchange may be tried again, rounded up, and at least 1."""
        failure = self.failure
        if failure is None:
            return 1
        left = failure.backoff(has_token=False) - failure.age(self._clock)
        return max(1, math.ceil(left))

    def recent_failure_of(self, credential: Credential) -> CopilotProxyError | None:
        """Return why it is too early to try this GitHub token again, or None if it may be tried."""
        failure = self.failure
        if (
            failure is None
            or failure.credential is None
            or not self._is_backing_off(has_token=False)
        ):
            return None
        return failure.error if failure.credential.token == credential.token else None

    def may_read_store(self) -> bool:
        """Return whether the store may be read for a newer sign-in even though there is a token."""
        return self._clock.monotonic() - self._store_read_at >= _STORE_INTERVAL_VALID

    def store_read(self) -> None:
        """Report that the store is being read."""
        self._store_read_at = self._clock.monotonic()

    def accepted(self, token: CopilotToken) -> None:
        """Report that upstream accepted `token`, so earlier rejections had other causes."""
        if token is self.token:
            self._refusals, self.is_forbidden = 0, False

    def forbidden(self, token: CopilotToken) -> None:
        """Report that upstream forbade a request with `token`, which may be outdated."""
        # A GitHub token that is used directly contains nothing that could be outdated.
        if token is self.token and not token.direct and token.age(self._clock) >= _FORBIDDEN_AGE:
            self.is_forbidden = True

    def refused(self) -> None:
        """Report that upstream rejected a request that used the token."""
        self._refusals += 1

    def succeeded(self, token: CopilotToken) -> None:
        """Report a successful exchange."""
        self.token, self.failure, self._refusals = token, None, 0
        self.is_forbidden = False

    def failed(self, error: CopilotProxyError, credential: Credential | None) -> None:
        """Report a failed exchange."""
        is_doubted = self._refusals or self.is_forbidden
        if is_doubted and isinstance(error, NotSignedIn | NoCopilotAccess):
            self.token = None
        # After each failure, a refused token gets another try, in case it is valid after all.
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
