"""Looks up the addresses of hosts: once for many who ask, and never in the way of the end.

The event loop's own lookups run on threads that a program waits for when it ends; one that hangs
would hold a stopped server for half a minute.
"""

import asyncio
import socket
import time
from functools import partial
from typing import Any, Final

from copilot_proxy.auth.threads import in_thread

Address = tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[Any, ...]]

_LIFE: Final = 10.0
"""Seconds that an answer is good for."""


class DnsCache:
    """The answers of the last seconds, and the questions that are asked now."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], tuple[float, list[Address]]] = {}
        self._asked: dict[tuple[str, int], asyncio.Future[list[Address]]] = {}

    async def addresses(self, host: str, port: int) -> list[Address]:
        """Where `host` is; raises `OSError`, `socket.gaierror` as a rule."""
        place = (host, port)
        if (known := self._known.get(place)) is not None and time.monotonic() - known[0] < _LIFE:
            return known[1]
        if (asked := self._asked.get(place)) is None:
            asked = asyncio.ensure_future(self._look_up(host, port))
            asked.add_done_callback(partial(self._answered, place))
            self._asked[place] = asked
        # Shielded, since others may wait for the same answer when this caller gives up.
        return await asyncio.shield(asked)

    def forget(self, host: str, port: int) -> None:
        """Nobody could be reached there."""
        self._known.pop((host, port), None)

    async def _look_up(self, host: str, port: int) -> list[Address]:
        look_up = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        try:
            return list(await in_thread(look_up))
        except UnicodeError as error:  # a part of the name is empty or too long
            raise socket.gaierror(socket.EAI_NONAME, str(error)) from error

    def _answered(self, place: tuple[str, int], asked: "asyncio.Future[list[Address]]") -> None:
        del self._asked[place]
        if not asked.cancelled() and asked.exception() is None:
            self._known[place] = (time.monotonic(), asked.result())
