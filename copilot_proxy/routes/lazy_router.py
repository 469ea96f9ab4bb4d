"""Loads the framework's router when a request first needs it.

The framework would take a third of the startup time and a quarter of an idle server's memory.
"""

import asyncio
from typing import Final, cast

from copilot_proxy.asgi import ASGIApp, Receive, Scope, Send
from copilot_proxy.daemon_threads import run_in_thread
from copilot_proxy.middleware.error_responses import send_error, to_proxy_error

_UPDATED: Final = "If copilot-proxy has been updated since the server was started, restart it."


class LazyRouter:
    """An ASGI application that is loaded by the first request to it."""

    def __init__(self) -> None:
        self._router: ASGIApp | None = None
        self._lock = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            router = self._router or await self._loaded()
        except Exception as error:
            ours = to_proxy_error(error)
            ours.hint = f"{_UPDATED} {ours.hint}"
            await send_error(scope, send, ours)
            return
        await router(scope, receive, send)

    async def _loaded(self) -> ASGIApp:
        async with self._lock:
            if self._router is None:
                # Loaded in a thread, so that streams continue in the meantime.
                self._router = await run_in_thread(_load)
            return self._router


def _load() -> ASGIApp:
    from copilot_proxy.routes.router import make_router

    # The framework has its own types for the same arguments.
    return cast("ASGIApp", make_router())
