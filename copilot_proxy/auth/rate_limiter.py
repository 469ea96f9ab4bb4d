"""Limits how often something may be done."""

from collections.abc import Callable


class RateLimiter:
    """A token bucket: `burst` at once, and after that one every `every` seconds."""

    def __init__(self, burst: int, every: float, monotonic: Callable[[], float]) -> None:
        self._every = every
        self._slack = (burst - 1) * every
        self._monotonic = monotonic
        self._full_at = float("-inf")
        """When the bucket is full again."""

    def acquire(self) -> float:
        """Take one and return 0, or return the seconds to wait if there is none."""
        now = self._monotonic()
        full_at = max(self._full_at, now)
        wait = full_at - now - self._slack
        if wait > 0:
            return wait
        self._full_at = full_at + self._every
        return 0.0
