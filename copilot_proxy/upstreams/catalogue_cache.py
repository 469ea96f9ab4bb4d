"""Caches each account's model list, and fetches it only once for concurrent requests."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final
from weakref import WeakKeyDictionary

from copilot_proxy.auth.copilot_auth import TokenSource
from copilot_proxy.auth.retries import SHORT, with_retries
from copilot_proxy.catalogue import Catalogue
from copilot_proxy.errors import UpstreamError

MAX_AGE: Final = 600.0
"""Seconds for which a list is used; Copilot's own client refreshes it just as often."""

_BACKOFF: Final = 5.0
"""Seconds from a failure to the next attempt, doubled after each additional failure."""

_MAX_BACKOFF: Final = 300.0


@dataclass
class _Entry:
    catalogue: Catalogue | None = None
    fetched_at: float = 0.0
    error: UpstreamError | None = None
    failures: int = 0
    retry_at: float = 0.0
    task: asyncio.Task[Catalogue | UpstreamError] | None = None


class CatalogueCache:
    """A model list for each sign-in, fetched with `fetch`."""

    def __init__(
        self,
        fetch: Callable[[TokenSource], Awaitable[Catalogue]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._entries: WeakKeyDictionary[TokenSource, _Entry] = WeakKeyDictionary()

    def recent(self, auth: TokenSource, max_age: float = MAX_AGE) -> Catalogue | None:
        """Return the cached list, or None if it is missing or older than `max_age` seconds."""
        entry = self._entries.get(auth)
        is_recent = entry is not None and self._clock() - entry.fetched_at < max_age
        return entry.catalogue if entry is not None and is_recent else None

    async def get(self, auth: TokenSource, max_age: float = MAX_AGE) -> Catalogue:
        """Return the list, from the cache if it is at most `max_age` seconds old.

        If the list cannot be fetched, an expired list is returned. If there is none, the error is
        raised. There is a delay before the next attempt, so that a failing upstream is not called
        for each request.
        """
        recent = self.recent(auth, max_age)
        if recent is not None:
            return recent
        entry = self._entries.get(auth)
        if entry is None:
            entry = self._entries[auth] = _Entry()
        if entry.error is not None and self._clock() < entry.retry_at:
            return _expired_or_raise(entry, entry.error)
        if entry.task is None:
            entry.task = asyncio.create_task(self._update(entry, auth))
        # Shielded, because other callers may still wait for the list if this one is cancelled.
        outcome = await asyncio.shield(entry.task)
        return outcome if isinstance(outcome, Catalogue) else _expired_or_raise(entry, outcome)

    async def aclose(self) -> None:
        """Cancel all running requests for lists."""
        tasks = [entry.task for entry in self._entries.values() if entry.task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _update(self, entry: _Entry, auth: TokenSource) -> Catalogue | UpstreamError:
        """Fetch the list. Errors are returned, not raised: there may be no caller waiting."""
        try:
            # The first time, there is no older list to return, so retries are worth a short wait.
            is_first = entry.catalogue is None and entry.error is None
            delays = SHORT if is_first else ()
            entry.catalogue = await with_retries(lambda: self._fetch(auth), delays)
        except UpstreamError as error:
            entry.error = error
            pause = min(_BACKOFF * 2**entry.failures, _MAX_BACKOFF)
            retry_after = error.headers.get("retry-after", "")
            entry.retry_at = self._clock() + max(pause, float(retry_after) if retry_after else 0.0)
            entry.failures += 1
            return error
        else:
            entry.fetched_at = self._clock()
            entry.error, entry.failures = None, 0
            return entry.catalogue
        finally:
            entry.task = None


def _expired_or_raise(entry: _Entry, error: UpstreamError) -> Catalogue:
    if entry.catalogue is None:
        raise error.with_traceback(None)
    return entry.catalogue
