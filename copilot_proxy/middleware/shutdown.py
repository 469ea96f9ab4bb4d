"""Responds with 503 to requests that a shutdown cancels before their response has started."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Final

from copilot_proxy.asgi import ASGIApp, Receive, Scope, Send
from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.middleware.error_responses import send_error

_SEND_TIMEOUT: Final = 1.0
"""Seconds for a client to read the error after its request was cancelled."""


class ShutdownMiddleware:
    """ASGI middleware that sends an error if a request is cancelled before its response starts.

    If the response has started, the application itself ends it, in the format of the client's API.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            await self._app(scope, receive, send)
        except asyncio.CancelledError:
            if scope["state"]["context"].status is None:
                await send_before_exit(send_error(scope, send, server_stopped()))
            raise


def server_stopped() -> CopilotProxyError:
    """Return the error for a client whose request is cancelled by a shutdown."""
    return CopilotProxyError(
        "The server was stopped before the answer was complete.",
        hint="If you send the request again, it may be billed again.",
        status=503,
        code="server_stopped",
        headers={"x-should-retry": "false"},
    )


async def send_before_exit(send: Coroutine[Any, Any, None]) -> None:
    """Await `send` in a task that is being cancelled, for at most one second.

    A client that does not read must not delay the shutdown.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(_SEND_TIMEOUT):
            await send
