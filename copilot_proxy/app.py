"""Puts the server together: routes, the door, and how failures are told."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, nullcontext
from typing import Final

from litestar import Litestar, Response
from litestar.datastructures import State
from litestar.exceptions import HTTPException
from litestar.types import ASGIApp

from copilot_proxy.errors import CopilotProxyError, RequestError
from copilot_proxy.middleware.access import AccessMiddleware
from copilot_proxy.middleware.concurrency import ConcurrencyMiddleware
from copilot_proxy.middleware.dumping import DumpMiddleware
from copilot_proxy.middleware.error_responses import as_ours, failure
from copilot_proxy.middleware.shutdown import ShutdownMiddleware
from copilot_proxy.routes.chat_completions import chat_completions
from copilot_proxy.routes.embeddings import embeddings
from copilot_proxy.routes.health import client_telemetry, health, root
from copilot_proxy.routes.messages import count_tokens, messages
from copilot_proxy.routes.models import get_model, list_models
from copilot_proxy.routes.openapi import openapi_config
from copilot_proxy.routes.responses import responses, stored_responses, web_socket
from copilot_proxy.routes.services import AnyRequest, Services

_ROUTES: Final = (
    chat_completions,
    responses,
    stored_responses,
    web_socket,
    messages,
    count_tokens,
    embeddings,
    list_models,
    get_model,
    health,
    root,
    client_telemetry,
)
_WHERE: Final = (
    "The API is under /v1: /v1/chat/completions, /v1/responses, /v1/messages, /v1/embeddings and "
    "/v1/models."
)


def create_app(services: Services) -> ASGIApp:
    """The server as an ASGI application; it lets go of everything when it shuts down."""
    router = make_router(services)
    inside: ASGIApp = router if services.dumps is None else DumpMiddleware(router, services.dumps)
    settings = services.settings
    return AccessMiddleware(
        ShutdownMiddleware(ConcurrencyMiddleware(inside, services.limiter)),
        # What comes through a Unix socket has nothing to do with the host of a port.
        host="localhost" if settings.uds else settings.host,
        keys=settings.keys,
        allowed_hosts=settings.allowed_hosts,
        cors_origins=settings.cors_origins,
    )


def make_router(services: Services) -> Litestar:
    """All routes, without the door."""

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        try:
            async with services.dumps.kept_short() if services.dumps else nullcontext():
                yield
        finally:
            await services.callers.close()
            await services.aclose()

    return Litestar(
        route_handlers=_ROUTES,
        state=State({"services": services}),
        lifespan=[lifespan],
        exception_handlers={
            CopilotProxyError: _ours,
            HTTPException: _litestars,
            Exception: _unexpected,
        },
        openapi_config=openapi_config(),
        logging_config=None,
    )


def _ours(request: AnyRequest, error: CopilotProxyError) -> Response[bytes]:
    body, headers = failure(request.scope, error)
    return Response(body, status_code=error.status, headers=headers)


def _litestars(request: AnyRequest, error: HTTPException) -> Response[bytes]:
    """What Litestar refuses before a route is reached: unknown paths and methods."""
    asked = f"{request.method} {request.url.path[:200]}"
    if error.status_code == 404:
        ours = RequestError(f"Unknown URL ({asked}).", status=404, code="unknown_url", hint=_WHERE)
    elif error.status_code == 405:
        ours = RequestError(
            f"The method is not allowed here ({asked}).",
            hint=_allowed(error.headers),
            status=405,
            code="method_not_supported",
            headers=error.headers,
        )
    else:
        ours = RequestError(error.detail, status=error.status_code)
    return _ours(request, ours)


def _allowed(headers: Mapping[str, str] | None) -> str:
    """Which methods the path of a 405 takes."""
    named = {name.lower(): value for name, value in (headers or {}).items()}.get("allow", "")
    methods = [one for one in map(str.strip, named.split(",")) if one in ("GET", "POST", "DELETE")]
    return f"Use {' or '.join(methods)}." if methods else _WHERE


def _unexpected(request: AnyRequest, error: Exception) -> Response[bytes]:
    return _ours(request, as_ours(error))
