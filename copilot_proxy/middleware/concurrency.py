"""Limits the number of concurrent requests; excess ones wait in a queue, or are answered with 503.

A request takes its slot before its body is read, and keeps it until its response ends, for whatever
reason. Only ``POST`` requests take a slot, because only they can cost something upstream. The
dashboard's ``POST`` requests take none: they cost nothing, and anyone may send one to sign in.
"""

import asyncio
from collections import deque
from typing import Final

from copilot_proxy.asgi import ASGIApp, Message, Receive, Scope, Send
from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.middleware.error_responses import send_error

_FREE: Final = "/dashboard/"
_RETRY_AFTER: Final = 5
"""Seconds after which a refused client may try again."""
_MAX_BUFFERED: Final = 64 * 1024
"""Maximum bytes of a waiting request's body to buffer; after that, the client must stop sending."""


class ConcurrencyLimiter:
    """A fixed number of slots, with a first-in, first-out queue.

    At most `limit` requests have a slot at a time; up to `max_queue` others wait for one, for up to
    `timeout` seconds.
    """

    def __init__(self, limit: int, max_queue: int, timeout: float) -> None:
        self.limit = limit
        self.free = limit
        self._max_queue = max_queue
        self._timeout = timeout
        self._queue: deque[asyncio.Future[None]] = deque()

    @property
    def waiting(self) -> int:
        """The number of requests in the queue."""
        return len(self._queue)

    def try_acquire(self) -> bool:
        """Take a slot without waiting; return whether there was one."""
        if self.free == 0:
            return False
        self.free -= 1
        return True

    def release(self) -> None:
        """Release a slot; the request that has waited the longest gets it."""
        while self._queue:
            turn = self._queue.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self.free += 1

    async def acquire(self, gone: "asyncio.Future[None]") -> bool:
        """Wait for a slot. Return True once the request has one, False if the client is `gone`.

        Raises `CopilotProxyError` (503) if the queue is full, or no slot becomes free in time.
        """
        if len(self._queue) >= self._max_queue:
            raise self._busy("and the queue is full")
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        try:
            await asyncio.wait(
                {turn, gone}, timeout=self._timeout, return_when=asyncio.FIRST_COMPLETED
            )
        except BaseException:
            self._withdraw(turn)
            raise
        if gone.done():
            self._withdraw(turn)
            return False
        if not turn.done():
            self._withdraw(turn)
            raise self._busy(f"and this one has waited in the queue for {self._timeout:g} s")
        return True

    def _withdraw(self, turn: "asyncio.Future[None]") -> None:
        if turn.done():
            self.release()
        else:
            self._queue.remove(turn)

    def _busy(self, why: str) -> CopilotProxyError:
        requests = "request is" if self.limit == 1 else "requests are"
        return CopilotProxyError(
            f"The server is busy: {self.limit} {requests} being answered, {why}.",
            status=503,
            code="server_busy",
            hint="Try again in a moment, or raise the limits with COPILOT_PROXY_MAX_CONCURRENCY, "
            "COPILOT_PROXY_MAX_QUEUE and COPILOT_PROXY_QUEUE_TIMEOUT.",
            headers={"retry-after": str(_RETRY_AFTER)},
        )


class ConcurrencyMiddleware:
    """ASGI middleware that passes requests on once they have a slot."""

    def __init__(self, app: ASGIApp, limiter: ConcurrencyLimiter) -> None:
        self._app = app
        self._limiter = limiter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_free = scope["type"] != "http" or scope["method"] != "POST"
        if is_free or scope["path"].startswith(_FREE):
            await self._app(scope, receive, send)
            return
        if not self._limiter.try_acquire():
            queued = _QueuedRequest(receive)
            try:
                if not await queued.acquire(self._limiter):
                    return
            except CopilotProxyError as error:
                await send_error(scope, send, error)
                return
            receive = queued.receive
        try:
            await self._app(scope, receive, send)
        finally:
            self._limiter.release()


class _QueuedRequest:
    """A request in the queue; buffers its body, and notices if the client disconnects."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._kept: deque[Message] = deque()

    async def acquire(self, limiter: ConcurrencyLimiter) -> bool:
        """Wait for a slot; return False if the client disconnected instead."""
        gone = asyncio.ensure_future(self._until_gone())
        try:
            return await limiter.acquire(gone)
        finally:
            # Do not await this: a cancellation during the await would lose the slot.
            gone.cancel()

    async def receive(self) -> Message:
        """Return the next buffered message; if there is none, wait for one from the client."""
        return self._kept.popleft() if self._kept else await self._receive()

    async def _until_gone(self) -> None:
        size = 0
        while size <= _MAX_BUFFERED:
            message = await self._receive()
            if message["type"] != "http.request":
                return
            size += len(message["body"])
            self._kept.append(message)
        # A disconnect can only be noticed once all bytes before it have been read.
        await asyncio.Event().wait()
