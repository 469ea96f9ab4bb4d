"""Tells clients that the server ended before their answer began, whatever they were waiting for."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Final

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.middleware.error_responses import send_error

_LAST_WORDS: Final = 1.0
"""Seconds that a client has to take the news that its answer is cut off."""


class ShutdownMiddleware:
    """Wraps the application; a request that is cancelled without an answer gets one.

    An answer that has begun is ended by whoever began it, in its own way.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        try:
            await self._app(scope, receive, send)
        except asyncio.CancelledError:
            if scope["state"]["context"].status is None:
                await in_passing(send_error(scope, send, stopped()))
            raise


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
    with suppress(TimeoutError):
        async with asyncio.timeout(_LAST_WORDS):
            await work
