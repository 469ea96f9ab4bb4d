"""Calls the handlers of the busiest paths without the framework's router, which would take longer
than the handlers themselves."""

from collections.abc import Iterable

from litestar import Litestar, Request
from litestar.enums import ScopeType
from litestar.handlers import HTTPRouteHandler
from litestar.types import Receive, Scope, Send

from copilot_proxy.middleware.error_responses import send_error, to_proxy_error
from copilot_proxy.routes.services import Services


class DirectRoutes:
    """An ASGI application that calls `handlers` by their path, and `router` for the rest.

    Each handler is for ``POST``, takes only the request, and returns an ASGI application. Every
    request gets `services`.
    """

    def __init__(
        self, router: Litestar, handlers: Iterable[HTTPRouteHandler], services: Services
    ) -> None:
        self._router = router
        self._services = services
        self._handlers = {path: handler.fn for handler in handlers for path in handler.paths}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"]["services"] = self._services
        is_post = scope["type"] == ScopeType.HTTP and scope["method"] == "POST"
        handler = self._handlers.get(scope["path"]) if is_post else None
        if handler is None:
            await self._router(scope, receive, send)
            return
        scope["litestar_app"] = self._router
        try:
            response = await handler(Request(scope, receive, send))
        except Exception as error:
            await send_error(scope, send, to_proxy_error(error))
            return
        await response(scope, receive, send)
