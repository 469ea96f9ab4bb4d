"""Keeps each account's list of models for a while, and reads it once when many ask."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final
from weakref import WeakKeyDictionary

from copilot_proxy.auth.copilot_auth import TokenSource
from copilot_proxy.catalogue import Catalogue
from copilot_proxy.errors import UpstreamError

_LIFE: Final = 600.0
"""Seconds that a list is good for; Copilot's own client reads it as often."""

_FRESH: Final = 1.0
"""Seconds in which even somebody who asks for a fresh list gets the one just read."""


_BACK_OFF: Final = 5.0
"""Seconds after a failure before the list is asked for again; doubled for each further one."""

_BACK_OFF_LONGEST: Final = 300.0


@dataclass
class _Entry:
    catalogue: Catalogue | None = None
    read_at: float = 0.0
    failure: UpstreamError | None = None
    failures: int = 0
    wait_until: float = 0.0
    reading: asyncio.Task[Catalogue | UpstreamError] | None = None


class CatalogueCache:
    """One list for each sign-in, read through `fetch`."""

    def __init__(
        self,
        fetch: Callable[[TokenSource], Awaitable[Catalogue]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._entries: WeakKeyDictionary[TokenSource, _Entry] = WeakKeyDictionary()

    async def get(self, auth: TokenSource, *, fresh: bool = False) -> Catalogue:
        """The list, from memory while it is young enough.

        An old list is kept when a new one cannot be had; without one that failure is raised, and
        again for a while, so that an upstream in trouble is not asked for every request.
        """
        entry = self._entries.get(auth)
        if entry is None:
            entry = self._entries[auth] = _Entry()
        life = _FRESH if fresh else _LIFE
        if entry.catalogue is not None and self._clock() - entry.read_at < life:
            return entry.catalogue
        if entry.failure is not None and self._clock() < entry.wait_until:
            return _known(entry, entry.failure)
        if entry.reading is None:
            entry.reading = asyncio.create_task(self._read(entry, auth))
        # Shielded, since others may wait for the same list when this caller gives up.
        outcome = await asyncio.shield(entry.reading)
        return outcome if isinstance(outcome, Catalogue) else _known(entry, outcome)

    async def _read(self, entry: _Entry, auth: TokenSource) -> Catalogue | UpstreamError:
        """Reads the list; a failure is a value, as nobody may be waiting for it."""
        try:
            entry.catalogue = await self._fetch(auth)
        except UpstreamError as error:
            entry.failure = error
            pause = min(_BACK_OFF * 2**entry.failures, _BACK_OFF_LONGEST)
            asked = error.headers.get("retry-after", "")
            entry.wait_until = self._clock() + max(pause, float(asked) if asked else 0.0)
            entry.failures += 1
            return error
        else:
            entry.read_at = self._clock()
            entry.failure, entry.failures = None, 0
            return entry.catalogue
        finally:
            entry.reading = None


def _known(entry: _Entry, failure: UpstreamError) -> Catalogue:
    if entry.catalogue is None:
        raise failure.with_traceback(None)
    return entry.catalogue
