"""Runs the application under uvicorn, and stops it in two steps: finish what is open, then cut."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Iterator
from typing import Any, Final

import uvicorn

from copilot_proxy.server import signals
from copilot_proxy.server.http_protocol import server_config
from copilot_proxy.settings import Settings

_ROUNDS: Final = 4
"""Rounds of the event loop in which what is already here is read: a client whose connection the
system has taken is let in, and a request that lies there begins, so that it is answered."""
_FAREWELL: Final = 2.0
"""Seconds that answers which are cut may take to say so."""


class Server(uvicorn.Server):
    """A uvicorn that starts and stops the way `serve` promises; `was_cut` is true if answers that
    were open at the end had to be broken off because the person asked twice."""

    def __init__(
        self,
        app: Any,
        settings: Settings,
        *,
        on_ready: Callable[[], None],
        on_finishing: Callable[[int], None],
        on_cut: Callable[[int], None],
        supervised: bool = False,
    ) -> None:
        """A `supervised` one is told by another process when to end, and not by a terminal."""
        super().__init__(server_config(app, settings))
        self.was_cut = False
        self._patience = settings.shutdown_timeout
        self._on_ready = on_ready
        self._on_finishing = on_finishing
        self._on_cut = on_cut
        self._supervised = supervised
        self._stop = asyncio.Event()
        self._now = asyncio.Event()

    def stop(self) -> None:
        """The first time: finish what is open. The second time: at once."""
        if self._stop.is_set():
            self.was_cut = True
            self.cut()
        self.finish()

    def finish(self) -> None:
        """Lets no one in any more, and ends when what is open has ended."""
        self._stop.set()

    def cut(self) -> None:
        """Waits no longer for what is open."""
        self._now.set()
        self._stop.set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_ready()

    async def main_loop(self) -> None:
        """Waits for the end. uvicorn's own looks for it ten times a second."""
        while not self._stop.is_set():
            await self.on_tick(0)  # renews the date that answers carry
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await self._stop.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Lets no one in, waits for what is open, cuts what is left, and says goodbye."""
        for _ in range(_ROUNDS):
            await asyncio.sleep(0)
        for server in self.servers:
            server.close()
        for one in sockets or ():
            one.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        if self.server_state.tasks:
            self._on_finishing(len(self.server_state.tasks))
            await self._finished(self._patience, self._now)
        if self.server_state.tasks:
            self._on_cut(len(self.server_state.tasks))
            for task in list(self.server_state.tasks):
                task.cancel()
            await self._finished(_FAREWELL)
        await self._sent()
        await self.lifespan.shutdown()

    async def _finished(self, patience: float, unless: asyncio.Event | None = None) -> None:
        """Waits until no request is open, for at most `patience` seconds, `unless` it is set."""
        loop = asyncio.get_running_loop()
        until = loop.time() + patience
        waiting = asyncio.ensure_future(unless.wait()) if unless else None
        while (tasks := set(self.server_state.tasks)) and loop.time() < until:
            watched: set[asyncio.Future[Any]] = {*tasks, waiting} if waiting else {*tasks}
            await asyncio.wait(
                watched, timeout=until - loop.time(), return_when=asyncio.FIRST_COMPLETED
            )
            if waiting and waiting.done():
                break
            await asyncio.sleep(0)  # the set is emptied by callbacks
        if waiting:
            waiting.cancel()

    async def _sent(self) -> None:
        """Gives the last bytes a moment to leave; whoever does not read them is not waited for."""
        until = asyncio.get_running_loop().time() + _FAREWELL
        # uvicorn has no event for it.
        while self.server_state.connections and asyncio.get_running_loop().time() < until:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        for connection in list(self.server_state.connections):
            connection.transport.abort()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """While the block runs, Ctrl+C and a request to end stop the server instead of Python."""
        with (
            signals.on_signals({signal.SIGTERM: self.finish})
            if self._supervised
            else signals.answered(self.stop, self.finish)
        ):
            yield
