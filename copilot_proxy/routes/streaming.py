"""Writes an answer to the client while it comes, and lets go of it when the client leaves.

The status waits until upstream's first event or failure is known, or for a grace period: so an
early failure keeps its own status, and a client with a short timeout still hears something. After
that a silent stream gets comment lines, and a failure becomes an event.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Any, Final, cast

from litestar.types import Receive, Scope, Send

from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.formats.sse import comment
from copilot_proxy.middleware.error_responses import as_ours, send_error
from copilot_proxy.middleware.shutdown import in_passing, stopped
from copilot_proxy.relay.reply import Reply

_STREAM_HEADERS: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
)
_KEEP_ALIVE: Final = comment("keep-alive")

Ask = Callable[[], AbstractAsyncContextManager[Reply]]
"""Asks for an answer; leaving the context ends it upstream."""
Frame = Callable[[dict[str, Any]], bytes]
"""Writes an event."""
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
            *((name.encode(), value.encode("latin-1")) for name, value in extra.items()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})


class EventStream:
    """An ASGI application that answers one request with server-sent events.

    `frame` writes an event of the answer, and `end` follows the last; what `ask` gives may
    raise `CopilotProxyError` at any time. `fail_early` makes the events that tell this when the
    status is out already, but there is no answer yet.
    """

    def __init__(
        self,
        ask: Ask,
        frame: Frame,
        end: bytes,
        fail_early: Callable[[CopilotProxyError], list[dict[str, Any]]],
        *,
        grace: float,
        keep_alive: float,
    ) -> None:
        self._ask = ask
        self._frame = frame
        self._end = end
        self._fail_early = fail_early
        self._reply: Reply | None = None
        self._grace = grace
        self._keep_alive = keep_alive
        self._started = False
        self._ended = False
        self._has_left = False
        self._is_sending = False
        self._last_sent = 0.0
        self._comment: asyncio.Task[None] | None = None
        """A comment on its way; frames wait for it, so that each write is whole events."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await until_client_leaves(self._write(scope, send), receive, self._leave)

    def _leave(self) -> None:
        self._has_left = True

    async def _write(self, scope: Scope, send: Send) -> None:
        self._look_in(self._grace, send)
        try:
            await self._answer(send)
            await self._send(send, b"", last=True)
        except Exception as error:
            await self._tell(scope, send, as_ours(error))
        except asyncio.CancelledError:
            if not self._has_left:
                await in_passing(self._tell(scope, send, stopped()))
            raise
        finally:
            self._timer.cancel()
            if self._comment is not None:
                self._comment.cancel()
                await asyncio.gather(self._comment, return_exceptions=True)

    async def _answer(self, send: Send) -> None:
        async with self._ask() as reply:
            self._reply = reply
            # Closed here, so that what has been counted is known when the context ends.
            async with aclosing(reply.events()) as batches:
                async for events in batches:
                    await self._send(send, self._framed(events))
            if self._end:
                await self._send(send, self._end)

    async def _tell(self, scope: Scope, send: Send, error: CopilotProxyError) -> None:
        self._timer.cancel()
        await self._commented()
        if self._started:
            events = self._fail_early(error) if self._reply is None else self._reply.fail(error)
            await self._send(send, self._framed(events) + self._end, last=True)
        else:
            await send_error(scope, send, error)

    def _framed(self, events: list[dict[str, Any]]) -> bytes:
        return b"".join(map(self._frame, events))

    async def _send(self, send: Send, frame: bytes, *, last: bool = False) -> None:
        if self._comment is not None:
            await self._commented()
        if self._ended:
            return
        self._ended = last
        self._is_sending = True
        if not self._started:
            await self._start(send)
        await send({"type": "http.response.body", "body": frame, "more_body": not last})
        self._last_sent = time.monotonic()
        self._is_sending = False

    async def _start(self, send: Send) -> None:
        self._started = True
        named = {} if self._reply is None else self._reply.headers
        headers = [(name.encode(), value.encode("latin-1")) for name, value in named.items()]
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [*_STREAM_HEADERS, *headers],
            }
        )

    async def _send_comment(self, send: Send) -> None:
        """Says that the stream is alive."""
        if not self._started:
            await self._start(send)
        await send({"type": "http.response.body", "body": _KEEP_ALIVE, "more_body": True})
        self._last_sent = time.monotonic()

    def _look_in(self, seconds: float, send: Send) -> None:
        """Looks after `seconds` whether the stream has to be kept awake."""
        self._timer = asyncio.get_running_loop().call_later(seconds, self._keep_awake, send)

    def _keep_awake(self, send: Send) -> None:
        silent = time.monotonic() - self._last_sent
        if self._started and silent < self._keep_alive:
            self._look_in(self._keep_alive - silent, send)
            return
        # A client that does not read has enough on its way.
        if not self._is_sending and (self._comment is None or self._comment.done()):
            self._comment = asyncio.ensure_future(self._send_comment(send))
        self._look_in(self._keep_alive, send)

    async def _commented(self) -> None:
        """Waits for the comment that is on its way."""
        if self._comment is not None:
            await self._comment
            self._comment = None


async def until_client_leaves(
    work: Coroutine[Any, Any, None],
    receive: Receive,
    on_leaving: Callable[[], None] = lambda: None,
) -> None:
    """Awaits `work` to its end, or cancels it and awaits its clean-up when the client leaves;
    `on_leaving` is called before that."""
    here = cast("asyncio.Task[Any]", asyncio.current_task())
    # A task of its own, in which timeouts may come and go: so a cancelled `here` means the server.
    task = asyncio.ensure_future(work)
    has_left = False

    async def watch() -> None:
        nonlocal has_left
        while (await receive())["type"] != "http.disconnect":
            pass
        # What is cancelled already cleans up, which is not to be disturbed.
        if not here.cancelling():
            has_left = True
            on_leaving()
            task.cancel()

    watching = asyncio.ensure_future(watch())
    try:
        # Being cancelled here cancels the task, and waits for its end.
        await task
    except asyncio.CancelledError:
        if here.cancelling() or not has_left:
            raise
    finally:
        watching.cancel()
