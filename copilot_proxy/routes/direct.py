"""Calls the handlers of the busiest paths without the framework.

The framework would take longer than the handlers, and is not even loaded until a different path is
called.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple

from copilot_proxy.asgi import ASGIApp, Receive, Scope, Send
from copilot_proxy.formats.chat_completions.api import CHAT_COMPLETIONS
from copilot_proxy.formats.messages.api import MESSAGES
from copilot_proxy.formats.responses.api import RESPONSES
from copilot_proxy.middleware.error_responses import send_error, to_proxy_error
from copilot_proxy.routes.chat_completions import chat_completions
from copilot_proxy.routes.embeddings import PATH as EMBEDDINGS
from copilot_proxy.routes.embeddings import embeddings
from copilot_proxy.routes.health import health, hello
from copilot_proxy.routes.messages import COUNT_PATH, count_tokens, messages
from copilot_proxy.routes.models import PATH as MODELS
from copilot_proxy.routes.models import list_models
from copilot_proxy.routes.responses import responses
from copilot_proxy.routes.services import Request, Services

_HANDLERS: Final[Mapping[tuple[str, str], Callable[[Request], Awaitable[ASGIApp]]]] = {
    ("POST", CHAT_COMPLETIONS.client_path): chat_completions,
    ("POST", RESPONSES.client_path): responses,
    ("POST", MESSAGES.client_path): messages,
    ("POST", COUNT_PATH): count_tokens,
    ("POST", EMBEDDINGS): embeddings,
    ("GET", MODELS): list_models,
    ("GET", "/health"): health,
    ("GET", "/api/hello"): hello,
}
"""`declarations` declares the same routes to the framework."""


class _DirectRequest(NamedTuple):
    """A `Request` without the framework."""

    scope: Scope
    receive: Callable[[], Awaitable[Any]]


class DirectRoutes:
    """An ASGI application that calls the busiest handlers directly, and `router` for other paths.

    Adds `services` to every request.
    """

    def __init__(self, router: ASGIApp, services: Services) -> None:
        self._router = router
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"]["services"] = self._services
        handler = _HANDLERS.get((scope["method"], scope["path"]))
        if handler is None:
            await self._router(scope, receive, send)
            return
        try:
            response = await handler(_DirectRequest(scope, receive))
        except Exception as error:
            await send_error(scope, send, to_proxy_error(error))
            return
        await response(scope, receive, send)
