"""Runs the simulator under uvicorn, in a background thread or in the foreground."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType
from typing import Self, Unpack

import uvicorn
import uvicorn.server
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .app import Application
from .state import Options, State
from .websocket import WebSocket

HOST = "127.0.0.1"
START_TIMEOUT = 10.0
_ITERATIONS = 8


class _Protocol(HttpToolsProtocol):
    """uvicorn's protocol without an access log, regardless of the process's logging
    configuration."""

    def __init__(self, *args: object, **more: object) -> None:
        super().__init__(*args, **more)  # type: ignore[arg-type]  # uvicorn's arguments
        self.access_log = False


class _Config(uvicorn.Config):
    """A configuration that does not touch the process's logging."""

    def configure_logging(self) -> None:
        """Do nothing."""


class _Server(uvicorn.server.Server):
    """A server that stops immediately, without uvicorn's polling or waiting for open responses."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()
        self._leave = asyncio.Event()

    async def main_loop(self) -> None:
        """Serve until `leave` is called."""
        self.ready.set()
        while not self._leave.is_set():
            await self.on_tick(0)
            try:
                # uvicorn updates the Date header of responses once a second.
                async with asyncio.timeout(1):
                    await self._leave.wait()
            except TimeoutError:
                continue

    def leave(self) -> None:
        """End the main loop."""
        self._leave.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the port and abort every connection, which ends the handlers."""
        # asyncio loses a connection that it accepts in the same iteration in which the server
        # closes.
        with suppress(NotImplementedError):  # on Windows
            for listener in [listener for server in self.servers for listener in server.sockets]:
                asyncio.get_running_loop().remove_reader(listener)
        await self._abort_connections()
        for server in self.servers:
            server.close()
        for one in sockets or []:
            one.close()
        if tasks := list(self.server_state.tasks):
            await asyncio.wait(tasks, timeout=2)
            await self._abort_connections()

    async def _abort_connections(self) -> None:
        """Abort every connection, including those that were just accepted.

        uvicorn only learns of an accepted connection a few iterations of the event loop later, and
        an aborted connection is closed in the next iteration.
        """
        for _ in range(_ITERATIONS):
            for connection in list(self.server_state.connections):
                connection.transport.abort()
            await asyncio.sleep(0)


class Simulator:
    """GitHub and the Copilot API on one local port.

    with Simulator(pace=0) as simulator:
        httpx.get(simulator.url + "/copilot_internal/v2/token", ...)

    `options` set the attributes of `State` with the same names, which can also be changed later.
    `start` raises OSError if the port is taken.
    """

    def __init__(
        self, *, port: int = 0, faults: Iterable[str] = (), **options: Unpack[Options]
    ) -> None:
        self.state = State(faults=faults, **options)
        self.port = port
        """0 means any free port; the actual port is set when the simulator starts."""
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server: _Server | None = None
        self._failure: BaseException | None = None

    @property
    def url(self) -> str:
        """The base URL of all three hosts."""
        return self.state.url

    def start(self) -> Self:
        """Listen and serve in the background; return when requests can be sent."""
        if self._thread is not None:
            raise RuntimeError("the simulator is already running")
        listener = _listener(self.port)
        self.port = listener.getsockname()[1]
        self.state.url = f"http://{HOST}:{self.port}"
        ready = threading.Event()
        self._failure = None
        self._thread = threading.Thread(
            target=self._run, args=(listener, ready), name="copilot-simulator", daemon=True
        )
        self._thread.start()
        if not ready.wait(START_TIMEOUT) or self._failure is not None:
            failure = self._failure
            self.stop()
            raise RuntimeError("the simulator did not start") from failure
        return self

    def stop(self) -> None:
        """Abort open connections and stop. Safe to call twice."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        loop, server = self._loop, self._server
        if loop is not None and server is not None and not loop.is_closed():
            loop.call_soon_threadsafe(server.leave)
        thread.join()

    def wait(self) -> None:
        """Wait until the user presses Ctrl+C or `stop` is called."""
        try:
            # On some platforms, a join without a timeout cannot be interrupted.
            while (thread := self._thread) is not None and thread.is_alive():
                thread.join(0.5)
        except KeyboardInterrupt:
            pass

    def run(self) -> None:
        """Serve in the foreground until Ctrl+C."""
        with self:
            self.wait()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _run(self, listener: socket.socket, ready: threading.Event) -> None:
        """Run uvicorn in an event loop in this thread."""
        try:
            with asyncio.Runner() as runner:
                self._loop = runner.get_loop()
                runner.run(self._serve(listener, ready))
        except BaseException as error:
            self._failure = error
        finally:
            listener.close()
            ready.set()

    async def _serve(self, listener: socket.socket, ready: threading.Event) -> None:
        config = _Config(
            Application(self.state),
            http=_Protocol,
            ws=WebSocket,
            lifespan="off",
            log_config=None,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=300,
        )
        self._server = _Server(config)
        self._server.ready = ready
        await self._server.serve(sockets=[listener])


def _listener(port: int) -> socket.socket:
    """Bind a socket to loopback; the message of an OSError names the port."""
    # asyncio disables Nagle's algorithm only for sockets created with an explicit protocol.
    # Otherwise, a response sent in two writes takes 40 ms longer.
    listener = socket.socket(proto=socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
    except OSError as error:
        listener.close()
        raise OSError(
            error.errno, f"port {port} on {HOST} cannot be used: {error.strerror}"
        ) from error
    return listener
