"""Creates the ASGI application: routes inside middleware, with startup and shutdown."""

import traceback
from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any

from copilot_proxy.asgi import ASGIApp, Receive, Scope, Send
from copilot_proxy.middleware.access import AccessMiddleware
from copilot_proxy.middleware.concurrency import ConcurrencyMiddleware
from copilot_proxy.middleware.dumping import DumpMiddleware
from copilot_proxy.middleware.shutdown import ShutdownMiddleware
from copilot_proxy.routes.direct import DirectRoutes
from copilot_proxy.routes.lazy_router import LazyRouter
from copilot_proxy.routes.services import Services
from copilot_proxy.routes.web_socket import WebSockets


def create_app(services: Services, router: ASGIApp | None = None) -> ASGIApp:
    """Return the ASGI application, which closes `services` when it shuts down.

    Passing the `router` of an application that has shut down saves building the routes again.
    """
    inside: ASGIApp = DirectRoutes(router or LazyRouter(), services)
    if services.dumps is not None:
        inside = DumpMiddleware(inside, services.dumps)
    settings = services.settings
    app = AccessMiddleware(
        ShutdownMiddleware(ConcurrencyMiddleware(inside, services.limiter)),
        # The host setting does not apply to a Unix socket.
        host="localhost" if settings.uds else settings.host,
        keys=settings.keys,
        allowed_hosts=settings.allowed_hosts,
        cors_origins=settings.cors_origins,
        simulated=services.simulated,
        profile=settings.profile,
        find_session=services.dashboard.find_key,
    )
    return _Lifespan(WebSockets(app, services.responses, limit=settings.max_body_bytes), services)


class _Lifespan:
    """ASGI middleware that handles the server's startup and shutdown."""

    def __init__(self, app: ASGIApp, services: Services) -> None:
        self._app = app
        self._services = services

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Coroutine[Any, Any, None]:
        if scope["type"] == "lifespan":
            return self._run(receive, send)
        return self._app(scope, receive, send)

    async def _run(self, receive: Receive, send: Send) -> None:
        dumps = self._services.dumps
        expiring: AbstractAsyncContextManager[None]
        expiring = dumps.expire_periodically() if dumps else nullcontext()
        await receive()
        phase = "startup"
        try:
            async with expiring:
                await send({"type": "lifespan.startup.complete"})
                phase = "shutdown"
                await receive()
                await self._close()
        except Exception:
            await send({"type": f"lifespan.{phase}.failed", "message": traceback.format_exc()})
            raise
        await send({"type": "lifespan.shutdown.complete"})

    async def _close(self) -> None:
        self._services.dashboard.close()
        await self._services.callers.close()
        await self._services.aclose()
