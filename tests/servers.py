"""Run asyncio servers on a test's event loop, and close them without leaving connections open."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

_ITERATIONS: Final = 8
"""Event loop iterations after which a new connection has been reported to its handler, and an
aborted one has been closed."""

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def iterate() -> None:
    """Let the event loop run everything that is due."""
    for _ in range(_ITERATIONS):
        await asyncio.sleep(0)


async def close(server: asyncio.Server) -> None:
    """Close `server` without losing a new connection. asyncio would lose one that was accepted in
    the iteration before."""
    with suppress(NotImplementedError):  # on Windows
        for one in server.sockets:
            server.get_loop().remove_reader(one)
    await iterate()
    server.close()


@asynccontextmanager
async def serving(handler: Handler, **options: Any) -> AsyncIterator[int]:
    """Serve while the block runs; yield the port. Handlers still running afterwards are
    cancelled."""
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
        yield server.sockets[0].getsockname()[1]
    finally:
        await close(server)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await iterate()
