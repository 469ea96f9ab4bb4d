"""Writes an answer to the client while it comes, and lets go of it when the client leaves.

The status waits until upstream's first event or failure is known, or for a grace period: so an
early failure keeps its own status, and a client with a short timeout still hears something. After
that a silent stream gets comment lines, and a failure becomes an event.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from typing import Any, Final

from litestar.types import Receive, Scope, Send

from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.formats.sse import comment
from copilot_proxy.routes.failures import as_ours, send_error

_STREAM_HEADERS: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
)
_LAST_WORDS: Final = 1.0
"""Seconds that a client has to take the news that its answer is cut off."""
_KEEP_ALIVE: Final = comment("keep-alive")


Frames = Callable[[Callable[[Mapping[str, str]], None]], AsyncGenerator[bytes, None]]
"""Makes the frames of an answer; is given a function that takes the answer's headers."""


Whole = Callable[[], Coroutine[Any, Any, tuple[bytes, Mapping[str, str]]]]
"""Makes the body and headers of a whole answer."""


class WholeAnswer:
    """An ASGI application that answers one request with JSON, unless the client leaves first.

    `whole` may raise `CopilotProxyError`.
    """

    def __init__(self, whole: Whole) -> None:
        self._whole = whole

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await until_client_leaves(self._write(scope, send), receive)

    async def _write(self, scope: Scope, send: Send) -> None:
        try:
            body, extra = await self._whole()
        except Exception as error:
            await send_error(scope, send, as_ours(error))
            return
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            *((name.encode(), value.encode()) for name, value in extra.items()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})


class EventStream:
    """An ASGI application that answers one request with server-sent events.

    `frames` is called with a function that takes the answer's headers, to be called before the
    first frame; it may raise `CopilotProxyError` at any time. `failed` makes the frames that tell
    such a failure, and end the stream, when the status is out already.
    """

    def __init__(
        self,
        frames: Frames,
        failed: Callable[[CopilotProxyError], bytes],
        *,
        grace: float,
        keep_alive: float,
    ) -> None:
        self._frames = frames
        self._failed = failed
        self._grace = grace
        self._keep_alive = keep_alive
        self._headers: Mapping[str, str] = {}
        self._started = False
        self._ended = False
        self._last_write = 0.0
        # The stream and its keep-alive both write, and each write is whole events.
        self._writing = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await until_client_leaves(self._write(scope, send), receive)

    async def _write(self, scope: Scope, send: Send) -> None:
        keep_alive = asyncio.create_task(self._keep_open(send))
        frames = self._frames(self._take_headers)
        try:
            async for frame in frames:
                await self._send(send, frame)
            await self._send(send, b"", last=True)
        except Exception as error:
            keep_alive.cancel()
            await self._tell(scope, send, as_ours(error))
        except asyncio.CancelledError:
            keep_alive.cancel()
            await in_passing(self._tell(scope, send, stopped()))
            raise
        finally:
            keep_alive.cancel()
            await asyncio.gather(keep_alive, return_exceptions=True)
            await frames.aclose()

    async def _tell(self, scope: Scope, send: Send, error: CopilotProxyError) -> None:
        if self._started:
            await self._send(send, self._failed(error), last=True)
        else:
            await send_error(scope, send, error)

    def _take_headers(self, headers: Mapping[str, str]) -> None:
        self._headers = headers

    async def _send(self, send: Send, frame: bytes, *, last: bool = False) -> None:
        async with self._writing:
            if self._ended:
                return
            self._ended = last
            if not self._started:
                self._started = True
                headers = [(n.encode(), v.encode()) for n, v in self._headers.items()]
                await send(
                    {
                        "type": "http.response.start",
                        "status": 200,
                        "headers": [*_STREAM_HEADERS, *headers],
                    }
                )
            await send({"type": "http.response.body", "body": frame, "more_body": not last})
            self._last_write = asyncio.get_running_loop().time()

    async def _keep_open(self, send: Send) -> None:
        await asyncio.sleep(self._grace)
        loop = asyncio.get_running_loop()
        while True:
            silent = loop.time() - self._last_write
            if not self._started or silent >= self._keep_alive:
                await self._send(send, _KEEP_ALIVE)
                silent = 0.0
            await asyncio.sleep(self._keep_alive - silent)


async def until_client_leaves(work: Coroutine[Any, Any, None], receive: Receive) -> None:
    """Runs `work` to its end, or cancels it and waits for its clean-up when the client leaves."""
    task = asyncio.ensure_future(work)
    watch = asyncio.ensure_future(_disconnected(receive))
    try:
        await asyncio.wait({task, watch}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            await task
    finally:
        for pending in (task, watch):
            if not pending.done():
                pending.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await pending


def stopped() -> CopilotProxyError:
    """For a client whose answer is cut off because the server ends."""
    return CopilotProxyError(
        "The server was stopped before the answer was complete.",
        hint="What came so far may be incomplete.",
        status=503,
        code="server_stopped",
        headers={"x-should-retry": "false"},
    )


async def in_passing(work: Coroutine[Any, Any, None]) -> None:
    """Last words on being cancelled. If the client has left they reach nobody, and if it does not
    read they are not waited for."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LAST_WORDS):
            await work


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
