"""How often something may be done: a few times at once, and then once in a while."""

from collections.abc import Callable


class RateLimiter:
    """A token bucket: `burst` times at once; after that once every `every` seconds."""

    def __init__(self, burst: int, every: float, monotonic: Callable[[], float]) -> None:
        self._every = every
        self._slack = (burst - 1) * every
        self._monotonic = monotonic
        self._full_at = float("-inf")
        """When all of `burst` may be spent at once again."""

    def acquire(self) -> float:
        """0 if it may be done now, which then counts; else the seconds until it may."""
        now = self._monotonic()
        full_at = max(self._full_at, now)
        wait = full_at - now - self._slack
        if wait > 0:
            return wait
        self._full_at = full_at + self._every
        return 0.0
