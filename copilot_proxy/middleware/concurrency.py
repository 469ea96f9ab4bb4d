"""How many requests are answered at once, who waits for a place, and who is sent away.

A request holds its place from before its body is read until its answer has ended, for whatever
reason. Only what may cost something upstream takes one: ``POST``.
"""

import asyncio
from collections import deque
from typing import Final

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, ReceiveMessage, Scope, Send

from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.middleware.error_responses import send_error

_RETRY_AFTER: Final = 5
"""Seconds after which a client that was sent away may come again."""
_MOST_KEPT: Final = 64 * 1024
"""Bytes of a waiting request's body that are kept; beyond that its client has to wait, too."""


class ConcurrencyLimiter:
    """A number of places, and a queue for them in the order of coming.

    `most` requests have a place at once, `most_waiting` wait for one, at most `patience` seconds.
    """

    def __init__(self, most: int, most_waiting: int, patience: float) -> None:
        self.most = most
        self.free = most
        self._most_waiting = most_waiting
        self._patience = patience
        self._queue: deque[asyncio.Future[None]] = deque()

    @property
    def waiting(self) -> int:
        """How many stand in the queue."""
        return len(self._queue)

    def take(self) -> bool:
        """Takes a place, if there is one at once."""
        if self.free == 0:
            return False
        self.free -= 1
        return True

    def leave(self) -> None:
        """Gives a place back, to whoever has waited longest."""
        while self._queue:
            turn = self._queue.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self.free += 1

    async def wait(self, gone: "asyncio.Future[None]") -> bool:
        """Waits for a place; whether there was one before the patience had ended or the client
        was `gone`.

        Raises `CopilotProxyError` if the queue is full or its time is over.
        """
        if len(self._queue) >= self._most_waiting:
            raise self._busy("and no more may wait")
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        try:
            await asyncio.wait(
                {turn, gone}, timeout=self._patience, return_when=asyncio.FIRST_COMPLETED
            )
        except BaseException:
            self._withdraw(turn)
            raise
        if gone.done():
            self._withdraw(turn)
            return False
        if not turn.done():
            self._withdraw(turn)
            raise self._busy(f"and none of them ended in {self._patience:g} seconds")
        return True

    def _withdraw(self, turn: "asyncio.Future[None]") -> None:
        if turn.done():
            self.leave()
        else:
            self._queue.remove(turn)

    def _busy(self, why: str) -> CopilotProxyError:
        requests = "request is" if self.most == 1 else "requests are"
        return CopilotProxyError(
            f"The server is busy: {self.most} {requests} being answered, {why}.",
            status=503,
            code="server_busy",
            hint="Try again in a moment. COPILOT_PROXY_MAX_CONCURRENCY, COPILOT_PROXY_MAX_QUEUE "
            "and COPILOT_PROXY_QUEUE_TIMEOUT set the limits.",
            headers={"retry-after": str(_RETRY_AFTER)},
        )


class ConcurrencyMiddleware:
    """An ASGI application that lets requests into another when they have a place."""

    def __init__(self, app: ASGIApp, places: ConcurrencyLimiter) -> None:
        self._app = app
        self._places = places

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        if not self._places.take():
            waiting = _Waiting(receive)
            try:
                if not await waiting.until_turn(self._places):
                    return
            except CopilotProxyError as error:
                await send_error(scope, send, error)
                return
            receive = waiting.receive
        try:
            await self._app(scope, receive, send)
        finally:
            self._places.leave()


class _Waiting:
    """A request in the queue: notices when its client leaves, and keeps what it sends."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._kept: deque[ReceiveMessage] = deque()

    async def until_turn(self, places: ConcurrencyLimiter) -> bool:
        """Whether the request has a place now, and a client that still wants it."""
        gone = asyncio.ensure_future(self._until_gone())
        try:
            return await places.wait(gone)
        finally:
            # Not waited for: an end in the middle of that would lose the place.
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
