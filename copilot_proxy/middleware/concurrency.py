"""How many requests are answered at once, how many wait for a slot, and which get 503.

A request holds its slot from before its body is read until its answer has ended, for whatever
reason. Only what may cost something upstream needs one: ``POST``.
"""

import asyncio
from collections import deque
from typing import Final

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, ReceiveMessage, Scope, Send

from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.middleware.error_responses import send_error

_RETRY_AFTER: Final = 5
"""Seconds after which a client that got 503 may try again."""
_MOST_KEPT: Final = 64 * 1024
"""Bytes of a waiting request's body that are kept; beyond that its client has to wait, too."""


class ConcurrencyLimiter:
    """A semaphore with a bounded queue, first come, first served.

    `limit` requests have a slot at once, `max_queue` wait for one, for `timeout` seconds at most.
    """

    def __init__(self, limit: int, max_queue: int, timeout: float) -> None:
        self.limit = limit
        self.free = limit
        self._max_queue = max_queue
        self._timeout = timeout
        self._queue: deque[asyncio.Future[None]] = deque()

    @property
    def waiting(self) -> int:
        """How many requests are in the queue."""
        return len(self._queue)

    def try_acquire(self) -> bool:
        """Takes a slot if one is free; whether it was."""
        if self.free == 0:
            return False
        self.free -= 1
        return True

    def release(self) -> None:
        """Gives a slot back, to the request that has waited longest."""
        while self._queue:
            turn = self._queue.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self.free += 1

    async def acquire(self, gone: "asyncio.Future[None]") -> bool:
        """Waits for a slot and takes it; false if the client was `gone` before.

        Raises `CopilotProxyError` if the queue is full or the wait too long.
        """
        if len(self._queue) >= self._max_queue:
            raise self._busy("and no more may wait")
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
            raise self._busy(f"and none of them ended in {self._timeout:g} seconds")
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
            hint="Try again in a moment. COPILOT_PROXY_MAX_CONCURRENCY, COPILOT_PROXY_MAX_QUEUE "
            "and COPILOT_PROXY_QUEUE_TIMEOUT set the limits.",
            headers={"retry-after": str(_RETRY_AFTER)},
        )


class ConcurrencyMiddleware:
    """Lets requests into the application when they have a slot."""

    def __init__(self, app: ASGIApp, limiter: ConcurrencyLimiter) -> None:
        self._app = app
        self._limiter = limiter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP or scope["method"] != "POST":
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
    """A request in the queue: notices when its client leaves, and keeps what it sends."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._kept: deque[ReceiveMessage] = deque()

    async def acquire(self, limiter: ConcurrencyLimiter) -> bool:
        """Whether the request has a slot now, and a client that still wants it."""
        gone = asyncio.ensure_future(self._until_gone())
        try:
            return await limiter.acquire(gone)
        finally:
            # Not waited for: an end in the middle of that would lose the slot.
            gone.cancel()

    async def receive(self) -> ReceiveMessage:
        """What was kept, then what comes."""
        return self._kept.popleft() if self._kept else await self._receive()

    async def _until_gone(self) -> None:
        size = 0
        while size <= _MOST_KEPT:
            message = await self._receive()
            if message["type"] != "http.request":
                return
            size += len(message["body"])
            self._kept.append(message)
        # Nobody can be seen leaving behind bytes that are not read.
        await asyncio.Event().wait()
