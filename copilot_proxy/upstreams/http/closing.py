"""Shields the closing of httpx responses from cancellation.

Closing a response returns its connection to httpx's pool. If the closing is cancelled, the
connection stays open and counts as busy forever. This happens when a client disconnects just as its
response completes.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import httpx


def shield_close(response: httpx.Response) -> httpx.Response:
    """Return `response`, shielded from cancellation while it closes. Its body must be unread."""
    if isinstance(response.stream, httpx.AsyncByteStream):
        response.stream = _ShieldedStream(response.stream)
    return response


class _ShieldedStream(httpx.AsyncByteStream):
    """Wraps the body `stream` and shields its closing from cancellation."""

    def __init__(self, stream: httpx.AsyncByteStream) -> None:
        self._stream = stream

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._stream.__aiter__()

    async def aclose(self) -> None:
        """Close the stream completely, even if the caller is cancelled."""
        await _run_to_end(self._stream.aclose())


async def _run_to_end(coroutine: Coroutine[Any, Any, None]) -> None:
    """Await `coroutine`. If cancelled, let the coroutine end before raising `CancelledError`."""
    task = asyncio.ensure_future(coroutine)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # retrieved, so that asyncio does not log it
        raise
