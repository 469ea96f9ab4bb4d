"""Limits the rate of an action."""

from collections.abc import Callable


class RateLimiter:
    """A token bucket: allows `burst` actions in a row, then one every `interval` seconds."""

    def __init__(self, burst: int, interval: float, monotonic: Callable[[], float]) -> None:
        self._interval = interval
        self._slack = (burst - 1) * interval
        self._monotonic = monotonic
        self._full_at = float("-inf")
        """The time at which the bucket is full again."""

    def acquire(self) -> float:
        """Take a token and return 0, or return the seconds until there is a token."""
        now = self._monotonic()
        full_at = max(self._full_at, now)
        wait = full_at - now - self._slack
        if wait > 0:
            return wait
        self._full_at = full_at + self._interval
        return 0.0
