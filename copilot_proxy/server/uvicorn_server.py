"""Runs the application under uvicorn. A shutdown finishes open requests, then cuts them off."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Iterator
from typing import Any, Final

import uvicorn.server

from copilot_proxy.server import signals
from copilot_proxy.server.uvicorn_config import server_config
from copilot_proxy.settings import Settings

_LOOP_ITERATIONS: Final = 4
"""Iterations of the event loop before the server stops accepting. Meanwhile, it takes the
connections that the system has already accepted, and reads the requests that have arrived, so that
they are answered."""
_IDLE_ITERATIONS: Final = 16
"""Iterations of the event loop in which WebSockets without open requests can end."""
_CANCEL_TIMEOUT: Final = 2.0
"""Seconds for requests that are cut off to send their errors."""


class Server(uvicorn.server.Server):
    """A uvicorn server with the startup and shutdown of the ``serve`` command.

    `on_ready` is called once the server accepts connections. When a shutdown begins, `on_stopping`
    ends the streams that would not end on their own. Then `on_finishing` is called with the number
    of open requests, and later `on_cut` with the number of requests that are cut off. `was_cut` is
    true if the user asked twice to stop while requests were open.
    """

    def __init__(
        self,
        app: Any,
        settings: Settings,
        *,
        on_ready: Callable[[], None],
        on_stopping: Callable[[], None] = lambda: None,
        on_finishing: Callable[[int], None],
        on_cut: Callable[[int], None],
        supervised: bool = False,
    ) -> None:
        """A `supervised` server is stopped by its supervisor, not by signals."""
        super().__init__(server_config(app, settings))
        self.was_cut = False
        self._shutdown_timeout = settings.shutdown_timeout
        self._on_ready = on_ready
        self._on_stopping = on_stopping
        self._on_finishing = on_finishing
        self._on_cut = on_cut
        self._supervised = supervised
        self._stop = asyncio.Event()
        self._cut_now = asyncio.Event()

    def stop(self) -> None:
        """Finish open requests on the first call; cut them off on the second."""
        if self._stop.is_set():
            self.was_cut = True
            self.cut()
        self.finish()

    def finish(self) -> None:
        """Stop accepting connections, and exit when all open requests have finished."""
        self._stop.set()

    def cut(self) -> None:
        """Stop without waiting for open requests."""
        self._cut_now.set()
        self._stop.set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_ready()

    async def main_loop(self) -> None:
        """Wait until the server should stop; uvicorn's own loop polls ten times a second."""
        while not self._stop.is_set():
            await self.on_tick(0)  # updates the Date header of responses
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await self._stop.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting connections, wait for open requests, cut off any that remain, and close
        all connections."""
        self._on_stopping()
        for _ in range(_LOOP_ITERATIONS):
            await asyncio.sleep(0)
        await self._stop_listening()
        for one in sockets or ():
            one.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        for _ in range(_IDLE_ITERATIONS):
            await asyncio.sleep(0)
        if self.server_state.tasks:
            self._on_finishing(len(self.server_state.tasks))
            await self._wait_for_requests(self._shutdown_timeout, self._cut_now)
        if self.server_state.tasks:
            self._on_cut(len(self.server_state.tasks))
            for task in list(self.server_state.tasks):
                task.cancel()
            await self._wait_for_requests(_CANCEL_TIMEOUT)
        await self._wait_for_connections()
        await self.lifespan.shutdown()

    async def _stop_listening(self) -> None:
        """Stop accepting connections, and close the port a few iterations later.

        asyncio drops connections that it accepted in the iteration just before the port is closed.
        """
        loop = asyncio.get_running_loop()
        with contextlib.suppress(NotImplementedError):  # not implemented on Windows
            for listener in [listener for server in self.servers for listener in server.sockets]:
                loop.remove_reader(listener)
        for _ in range(_LOOP_ITERATIONS):
            await asyncio.sleep(0)
        for server in self.servers:
            server.close()

    async def _wait_for_requests(self, timeout: float, cancel: asyncio.Event | None = None) -> None:
        """Wait until no request is open, for at most `timeout` seconds or until `cancel` is set."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        cancelled = asyncio.ensure_future(cancel.wait()) if cancel else None
        while (tasks := set(self.server_state.tasks)) and loop.time() < deadline:
            watched: set[asyncio.Future[Any]] = {*tasks, cancelled} if cancelled else {*tasks}
            await asyncio.wait(
                watched, timeout=deadline - loop.time(), return_when=asyncio.FIRST_COMPLETED
            )
            if cancelled and cancelled.done():
                break
            await asyncio.sleep(0)  # callbacks remove finished tasks from the set
        if cancelled:
            cancelled.cancel()

    async def _wait_for_connections(self) -> None:
        """Let connections send their last bytes, then abort those whose clients do not read."""
        deadline = asyncio.get_running_loop().time() + _CANCEL_TIMEOUT
        # uvicorn has no event for closed connections.
        while self.server_state.connections and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        for connection in list(self.server_state.connections):
            connection.transport.abort()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """While the block runs, stop the server on signals instead of exiting Python."""
        with (
            signals.on_signals({signal.SIGTERM: self.finish})
            if self._supervised
            else signals.handle_stop_signals(self.stop, self.finish)
        ):
            yield
