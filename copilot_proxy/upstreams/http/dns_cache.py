"""Caches DNS lookups for a few seconds, and shares a lookup between concurrent requests.

Lookups run in daemon threads. The event loop's own lookups run in threads that are joined at exit,
so a lookup that hangs would delay the server's shutdown by half a minute.
"""

import asyncio
import socket
import time
from functools import partial
from typing import Any, Final

from copilot_proxy.daemon_threads import run_in_thread

Address = tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[Any, ...]]

_MAX_AGE: Final = 10.0
"""Seconds for which a result is used."""


class DnsCache:
    """Recent results and the lookups in progress, by host and port."""

    def __init__(self) -> None:
        self._results: dict[tuple[str, int], tuple[float, list[Address]]] = {}
        self._lookups: dict[tuple[str, int], asyncio.Future[list[Address]]] = {}

    async def addresses(self, host: str, port: int) -> list[Address]:
        """Return the addresses of `host`. Raises `OSError`, usually `socket.gaierror`."""
        key = (host, port)
        if (result := self._results.get(key)) is not None:
            looked_up_at, addresses = result
            if time.monotonic() - looked_up_at < _MAX_AGE:
                return addresses
        if (lookup := self._lookups.get(key)) is None:
            lookup = asyncio.ensure_future(self._look_up(host, port))
            lookup.add_done_callback(partial(self._store, key))
            self._lookups[key] = lookup
        # Shielded, because other callers may still wait for the lookup if this one is cancelled.
        return await asyncio.shield(lookup)

    def remove(self, host: str, port: int) -> None:
        """Forget the addresses of `host`, because connecting to them has failed."""
        self._results.pop((host, port), None)

    async def _look_up(self, host: str, port: int) -> list[Address]:
        look_up = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        try:
            return list(await run_in_thread(look_up))
        except UnicodeError as error:  # a part of the name is empty or too long
            raise socket.gaierror(socket.EAI_NONAME, str(error)) from error

    def _store(self, key: tuple[str, int], lookup: "asyncio.Future[list[Address]]") -> None:
        del self._lookups[key]
        if not lookup.cancelled() and lookup.exception() is None:
            self._results[key] = (time.monotonic(), lookup.result())
