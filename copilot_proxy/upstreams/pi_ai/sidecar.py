"""Starts the sidecar process when it is first needed, and restarts it if it dies.

The process is restarted for the next exchange, after a delay that grows if it dies repeatedly.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from copilot_proxy.errors import UpstreamUnreachable
from copilot_proxy.upstreams.pi_ai.sidecar_process import (
    WINDOW,
    SidecarCommand,
    SidecarExchange,
    SidecarProcess,
)

_START_TIMEOUT: Final = 20.0
"""Maximum seconds until the process must be ready."""
_PING_INTERVAL: Final = 15.0
"""Seconds between pings of the process."""
_DAMAGED: Final = "its files are missing or damaged"
_RESTART_DELAYS: Final = (0.0, 0.0, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds before a start, by the number of processes that died in a row without a response."""


class Sidecar:
    """The sidecar, whether or not its process is running. Must be used from a single event loop."""

    def __init__(
        self,
        name: str,
        command: Callable[[], SidecarCommand],
        *,
        ping_interval: float = _PING_INTERVAL,
    ) -> None:
        """`command` is called in a thread before each start; `exchange` passes on its errors."""
        self._name = name
        self._command = command
        self._ping_interval = ping_interval
        self._process: SidecarProcess | None = None
        self._start_lock = asyncio.Lock()
        self._deaths = 0
        self._died_at = 0.0
        self._repair_hint = ""
        """The hint for damaged files, if they caused the last start to fail."""
        self._last_id = 0
        self._closed = False

    @asynccontextmanager
    async def exchange(
        self, request: Mapping[str, Any], size: int = 0
    ) -> AsyncIterator[SidecarExchange]:
        """Send `request`, which is about `size` bytes long, and yield its exchange.

        Leaving the context cancels an unfinished request. Raises `UpstreamUnreachable` if the
        process cannot be started.
        """
        process = await self._running_process()
        self._last_id += 1
        exchange = SidecarExchange(process, self._last_id)
        process.exchanges[exchange.id] = exchange
        try:
            await process.send({"ask": exchange.id, "window": WINDOW, **request}, size)
            yield exchange
        finally:
            del process.exchanges[exchange.id]
            if exchange.ended:
                self._deaths = 0 if process.is_alive else self._deaths
            else:
                process.write({"drop": exchange.id})

    async def aclose(self) -> None:
        """Stop the process, and do not start another."""
        self._closed = True
        if self._process is not None:
            await self._process.aclose()

    @property
    def pid(self) -> int | None:
        """The id of the process, or None if none was started."""
        return self._process.process.pid if self._process is not None else None

    async def _running_process(self) -> SidecarProcess:
        """Return the running process, or start one. Raises `UpstreamUnreachable`."""
        async with self._start_lock:
            if self._closed:
                raise self._unusable("it is being shut down")
            if self._process is not None and self._process.is_alive:
                return self._process
            if self._process is not None:
                await self._process.aclose()
                self._process = None
                self._record_death()
            delay = _RESTART_DELAYS[min(self._deaths, len(_RESTART_DELAYS) - 1)]
            remaining = self._died_at + delay - time.monotonic()
            if self._deaths and remaining > 0:
                reason = _DAMAGED if self._repair_hint else "it died several times in a row"
                raise self._unusable(reason, retry_after=remaining)
            self._process = await self._start()
            return self._process

    async def _start(self) -> SidecarProcess:
        process = None
        self._repair_hint = ""
        try:
            command = await asyncio.to_thread(self._command)
            process = await SidecarProcess.start(self._name, command, self._ping_interval)
            async with asyncio.timeout(_START_TIMEOUT):
                await process.ready.wait()
        except TimeoutError:
            reason = "it did not start in time"
        except OSError as error:
            reason = error.strerror or type(error).__name__
        except BaseException:
            if process is not None:
                await process.aclose()
            raise
        else:
            if process.is_alive:
                return process
            reason = "it died while starting"
            if process.damaged:
                reason, self._repair_hint = _DAMAGED, command.repair_hint
        if process is not None:
            await process.aclose()
        self._record_death()
        raise self._unusable(reason)

    def _record_death(self) -> None:
        self._deaths += 1
        self._died_at = time.monotonic()

    def _unusable(self, reason: str, *, retry_after: float = 0) -> UpstreamUnreachable:
        error = UpstreamUnreachable(
            f"The {self._name} process cannot be used: {reason}.",
            sent=False,
            hint=self._repair_hint or "Try again in a moment, or check the server's log.",
            status=503,
        )
        if retry_after:
            error.headers["retry-after"] = str(max(1, round(retry_after)))
        return error
