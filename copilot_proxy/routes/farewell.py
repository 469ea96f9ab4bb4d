"""Tells clients that the server ended before their answer began, whatever they were waiting for."""

import asyncio

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

from copilot_proxy.routes.failures import send_error
from copilot_proxy.routes.streaming import in_passing, stopped


class Farewell:
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
            if scope["state"]["visit"].status is None:
                await in_passing(send_error(scope, send, stopped()))
            raise
