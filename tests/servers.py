"""Runs asyncio servers on a test's event loop, or in a thread, without leaving connections open."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any, Final, Self

_ITERATIONS: Final = 8
"""Event loop iterations until a new connection is reported or an aborted one is closed."""

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def iterate() -> None:
    """Let the event loop run everything that is due."""
    for _ in range(_ITERATIONS):
        await asyncio.sleep(0)


async def close(server: asyncio.Server) -> None:
    """Close `server` without losing a new connection.

    asyncio would lose a connection that was accepted in the previous iteration.
    """
    with suppress(NotImplementedError):  # on Windows
        for one in server.sockets:
            server.get_loop().remove_reader(one)
    await iterate()
    server.close()


@asynccontextmanager
async def serving(handler: Handler, **options: Any) -> AsyncIterator[int]:
    """Serve while the block runs; yield the port.

    Handlers that are still running at the end are cancelled.
    """
    async with running(handler, **options) as server:
        yield server.sockets[0].getsockname()[1]


@asynccontextmanager
async def running(handler: Handler, **options: Any) -> AsyncIterator[asyncio.Server]:
    """Serve like `serving`, but yield the server, which the block may close."""
    tasks: set[asyncio.Task[Any]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            # asyncio's own callback fails if the handler was cancelled.
            with suppress(asyncio.CancelledError, asyncio.IncompleteReadError, ConnectionError):
                await handler(reader, writer)
        finally:
            tasks.discard(task)
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, **options)
    try:
        yield server
    finally:
        await close(server)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await iterate()


class ThreadedServer:
    """A server in a thread, inside a `with` block; subclasses define `listening`."""

    url = ""
    """The server's address, once the block has started."""

    def __init__(self) -> None:
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(60)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._leave.set)
        self._thread.join(60)
        assert not self._thread.is_alive()

    def listening(self) -> AbstractAsyncContextManager[int]:
        """Return a context manager that serves while it is open, and yields the port."""
        raise NotImplementedError

    async def _run(self) -> None:
        self._loop, self._leave = asyncio.get_running_loop(), asyncio.Event()
        async with self.listening() as port:
            self.url = f"http://127.0.0.1:{port}"
            self._ready.set()
            await self._leave.wait()
