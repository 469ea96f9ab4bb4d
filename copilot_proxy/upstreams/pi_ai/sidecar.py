"""A child process that lives as long as it is of use: started when needed, and again after it died.

It starts with the first exchange; after a death with the next one, each time a little later as long
as nothing comes of it.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from copilot_proxy.errors import UpstreamUnreachable
from copilot_proxy.upstreams.pi_ai.sidecar_process import (
    CREDIT,
    Command,
    SidecarExchange,
    SidecarProcess,
)

_START: Final = 20.0
"""Seconds that the child may take until it is ready."""
_PING_EVERY: Final = 15.0
"""Seconds of silence after which it is asked whether it lives, and again until it is given up."""
_UNFIT: Final = "its files are missing or damaged"
_PAUSES: Final = (0.0, 0.0, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds to the next start, by how many have died in a row without an answer."""


class Sidecar:
    """The child, whether it runs or not. To be used from one event loop."""

    def __init__(
        self, name: str, command: Callable[[], Command], *, ping_every: float = _PING_EVERY
    ) -> None:
        """`command` is called in a thread for each start; what it raises, `exchange` does."""
        self._name = name
        self._command = command
        self._ping_every = ping_every
        self._child: SidecarProcess | None = None
        self._starting = asyncio.Lock()
        self._deaths = 0
        self._died_at = 0.0
        self._repair = ""
        """What to do about files that are unfit, if they were at the last start."""
        self._ids = 0
        self._closed = False

    @asynccontextmanager
    async def exchange(self, request: Mapping[str, Any]) -> AsyncIterator[SidecarExchange]:
        """Asks `request`; leaving the context tells the child to drop it.

        Raises `UpstreamUnreachable` if the child cannot be started.
        """
        child = await self._running()
        self._ids += 1
        exchange = SidecarExchange(child, self._ids)
        child.exchanges[self._ids] = exchange
        try:
            await child.say({"ask": exchange.id, "credit": CREDIT, **request})
            yield exchange
        finally:
            del child.exchanges[exchange.id]
            if exchange.ended:
                self._deaths = 0 if child.lives else self._deaths
            else:
                child.write({"drop": exchange.id})

    async def aclose(self) -> None:
        """Ends the child."""
        self._closed = True
        if self._child is not None:
            await self._child.aclose()

    @property
    def pid(self) -> int | None:
        """The number of the running process."""
        return self._child.process.pid if self._child is not None else None

    async def _running(self) -> SidecarProcess:
        async with self._starting:
            if self._closed:
                raise self._unusable("it is being shut down")
            if self._child is not None and self._child.lives:
                return self._child
            if self._child is not None:
                await self._child.aclose()
                self._child = None
                self._note_death()
            pause = _PAUSES[min(self._deaths, len(_PAUSES) - 1)]
            left = self._died_at + pause - time.monotonic()
            if self._deaths and left > 0:
                died = _UNFIT if self._repair else "it died several times in a row"
                raise self._unusable(died, retry_after=left)
            self._child = await self._started()
            return self._child

    async def _started(self) -> SidecarProcess:
        child = None
        self._repair = ""
        try:
            command = await asyncio.to_thread(self._command)
            child = await SidecarProcess.start(self._name, command, self._ping_every)
            async with asyncio.timeout(_START):
                await child.ready.wait()
        except TimeoutError:
            reason = "it does not get ready"
        except OSError as error:
            reason = error.strerror or type(error).__name__
        except BaseException:
            if child is not None:
                await child.aclose()
            raise
        else:
            if child.lives:
                return child
            reason = "it died at its start"
            if child.unfit:
                reason, self._repair = _UNFIT, command.repair
        if child is not None:
            await child.aclose()
        self._note_death()
        raise self._unusable(reason)

    def _note_death(self) -> None:
        self._deaths += 1
        self._died_at = time.monotonic()

    def _unusable(self, reason: str, *, retry_after: float = 0) -> UpstreamUnreachable:
        error = UpstreamUnreachable(
            f"The {self._name} process cannot be used: {reason}.",
            sent=False,
            hint=self._repair or "Try again in a moment; the log of `serve` may say more.",
            status=503,
        )
        if retry_after:
            error.headers["retry-after"] = str(max(1, round(retry_after)))
        return error
