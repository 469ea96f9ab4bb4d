"""Bodies of answers that are closed to the end, even if whoever closes them is cancelled meanwhile.

Closing a body gives its connection back to httpx's pool. If that is interrupted, the connection
counts as busy and stays open for ever. A client that hangs up just when its answer is complete is
enough to interrupt it.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import httpx


def steady(response: httpx.Response) -> httpx.Response:
    """`response`, whose body is still on the wire, with a body that is closed to the end."""
    if isinstance(response.stream, httpx.AsyncByteStream):
        response.stream = _SteadyStream(response.stream)
    return response


class _SteadyStream(httpx.AsyncByteStream):
    """The body `stream`, whose closing cannot be interrupted."""

    def __init__(self, stream: httpx.AsyncByteStream) -> None:
        self._stream = stream

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._stream.__aiter__()

    async def aclose(self) -> None:
        """Closes it; being cancelled waits for the end of that, too."""
        await _to_the_end(self._stream.aclose())


async def _to_the_end(work: Coroutine[Any, Any, None]) -> None:
    """Awaits `work`, which goes on if the one who awaits it is cancelled, and is waited for."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # it is known now; the cancelling matters more
        raise
