"""Run raw servers on a test's event loop, and close them so that no connection is left."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

_ITERATIONS: Final = 8
"""So many iterations of the event loop later, an accepted connection has been announced, and an
aborted one has been closed."""

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def iterate() -> None:
    """Let the event loop do what is due."""
    for _ in range(_ITERATIONS):
        await asyncio.sleep(0)


async def close(server: asyncio.Server) -> None:
    """Close `server`; asyncio loses a connection accepted in the iteration before that."""
    with suppress(NotImplementedError):  # on Windows
        for one in server.sockets:
            server.get_loop().remove_reader(one)
    await iterate()
    server.close()


@asynccontextmanager
async def serving(handler: Handler, **options: Any) -> AsyncIterator[int]:
    """Serve while the block runs; yield the port. Handlers that run after it are cancelled."""
    tasks: set[asyncio.Task[Any]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            # asyncio's own callback cannot deal with a cancelled handler.
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
