"""Tells clients that the server ended before their answer began, whatever they were waiting for."""

import asyncio
from typing import Final

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

from copilot_proxy.routes.failures import send_error
from copilot_proxy.routes.streaming import in_passing, stopped

BEGUN: Final = "answer_begun"
"""In the state of a request's scope once its answer has begun; the door notes it there."""


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
            if not scope["state"].get(BEGUN):
                await in_passing(send_error(scope, send, stopped()))
            raise
