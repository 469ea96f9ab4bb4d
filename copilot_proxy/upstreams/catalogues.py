"""Keeps each account's list of models for a while, and reads it once when many ask."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final
from weakref import WeakKeyDictionary

from copilot_proxy.auth.copilot_auth import TokenSource
from copilot_proxy.catalogue import Catalogue
from copilot_proxy.errors import UpstreamError

_LIFE: Final = 600.0
"""Seconds that a list is good for; Copilot's own client reads it as often."""

_FRESH: Final = 1.0
"""Seconds in which even somebody who asks for a fresh list gets the one just read."""


@dataclass
class _Entry:
    catalogue: Catalogue | None = None
    read_at: float = 0.0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Catalogues:
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

        An old list is kept when a new one cannot be had; without one that failure is raised.
        """
        entry = self._entries.setdefault(auth, _Entry())
        life = _FRESH if fresh else _LIFE
        if entry.catalogue is not None and self._clock() - entry.read_at < life:
            return entry.catalogue
        async with entry.lock:
            if entry.catalogue is not None and self._clock() - entry.read_at < life:
                return entry.catalogue
            try:
                entry.catalogue = await self._fetch(auth)
            except UpstreamError:
                if entry.catalogue is None:
                    raise
            entry.read_at = self._clock()
            return entry.catalogue
