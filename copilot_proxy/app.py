"""Creates the ASGI application: routes, middleware and exception handlers."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, nullcontext
from typing import Final

from litestar import Litestar, Response
from litestar.exceptions import HTTPException
from litestar.types import ASGIApp

from copilot_proxy.errors import CopilotProxyError, RequestError
from copilot_proxy.middleware.access import AccessMiddleware
from copilot_proxy.middleware.concurrency import ConcurrencyMiddleware
from copilot_proxy.middleware.dumping import DumpMiddleware
from copilot_proxy.middleware.error_responses import error_parts, to_proxy_error
from copilot_proxy.middleware.shutdown import ShutdownMiddleware
from copilot_proxy.routes.chat_completions import chat_completions
from copilot_proxy.routes.completions import completions
from copilot_proxy.routes.dashboard import change_dashboard, dashboard_events, dashboard_part
from copilot_proxy.routes.direct import DirectRoutes
from copilot_proxy.routes.embeddings import embeddings
from copilot_proxy.routes.gemini import (
    call_gemini_model,
    get_gemini_model,
    list_gemini_models,
)
from copilot_proxy.routes.health import client_telemetry, health, hello, root
from copilot_proxy.routes.messages import count_tokens, messages
from copilot_proxy.routes.metrics import metrics
from copilot_proxy.routes.models import get_model, list_models
from copilot_proxy.routes.ollama import OLLAMA_ROUTES, is_off, off_error
from copilot_proxy.routes.openapi import openapi_config
from copilot_proxy.routes.responses import (
    compact_response,
    count_input_tokens,
    open_web_socket,
    responses,
)
from copilot_proxy.routes.services import LitestarRequest, Services
from copilot_proxy.routes.stored_responses import (
    cancel_response,
    delete_response,
    get_response,
    list_input_items,
)
from copilot_proxy.routes.unsupported import not_supported
from copilot_proxy.routes.web_socket import WebSockets

_ROUTES: Final = (
    chat_completions,
    completions,
    responses,
    count_input_tokens,
    compact_response,
    open_web_socket,
    get_response,
    delete_response,
    list_input_items,
    cancel_response,
    messages,
    count_tokens,
    call_gemini_model,
    list_gemini_models,
    get_gemini_model,
    embeddings,
    list_models,
    get_model,
    health,
    metrics,
    root,
    dashboard_part,
    dashboard_events,
    change_dashboard,
    hello,
    client_telemetry,
    *OLLAMA_ROUTES,
)
_BUSIEST: Final = (chat_completions, responses, messages)
_PATHS_HINT: Final = (
    "Use /v1/chat/completions, /v1/responses, /v1/messages, /v1/embeddings, /v1/models or "
    "/v1beta/models/MODEL:generateContent; GET /schema describes them."
)


def create_app(services: Services, router: Litestar | None = None) -> ASGIApp:
    """Return the ASGI application, which closes `services` when it shuts down.

    `router` may come from an application that has shut down, which saves building the routes again.
    """
    router = router or make_router()
    router.state["services"] = services
    inside: ASGIApp = DirectRoutes(router, _BUSIEST, services)
    if services.dumps is not None:
        inside = DumpMiddleware(inside, services.dumps)
    settings = services.settings
    app = AccessMiddleware(
        ShutdownMiddleware(ConcurrencyMiddleware(inside, services.limiter)),
        # For a Unix socket, the host setting does not apply.
        host="localhost" if settings.uds else settings.host,
        keys=settings.keys,
        allowed_hosts=settings.allowed_hosts,
        cors_origins=settings.cors_origins,
        simulated=services.simulated,
        profile=settings.profile,
        find_session=services.dashboard.find_key,
    )
    return WebSockets(app, services.responses, limit=settings.max_body_bytes)


def make_router() -> Litestar:
    """Return the router of all routes, without the middleware; `create_app` sets its services."""
    return Litestar(
        route_handlers=_ROUTES,
        lifespan=[_lifespan],
        exception_handlers={
            CopilotProxyError: _error_response,
            HTTPException: _handle_http_exception,
            Exception: _handle_unexpected,
        },
        openapi_config=openapi_config(),
        logging_config=None,
    )


@asynccontextmanager
async def _lifespan(router: Litestar) -> AsyncIterator[None]:
    services: Services = router.state["services"]
    try:
        async with services.dumps.expire_periodically() if services.dumps else nullcontext():
            yield
    finally:
        services.dashboard.close()
        await services.callers.close()
        await services.aclose()


def _error_response(request: LitestarRequest, error: CopilotProxyError) -> Response[bytes]:
    status, body, headers = error_parts(request.scope, error)
    return Response(body, status_code=status, headers=headers)


def _handle_http_exception(request: LitestarRequest, error: HTTPException) -> Response[bytes]:
    """Respond to Litestar's own errors, such as unknown paths and methods."""
    target = f"{request.method} {request.url.path[:200]}"
    if is_off(request):
        ours = off_error(target)
    elif error.status_code == 404:
        ours = not_supported(request.url.path) or RequestError(
            f"Unknown URL ({target}).", status=404, code="unknown_url", hint=_PATHS_HINT
        )
    elif error.status_code == 405:
        ours = RequestError(
            f"The method is not allowed for this URL ({target}).",
            hint=_allowed_methods_hint(error.headers),
            status=405,
            code="method_not_supported",
            headers=error.headers,
        )
    else:
        ours = RequestError(error.detail, status=error.status_code)
    return _error_response(request, ours)


def _allowed_methods_hint(headers: Mapping[str, str] | None) -> str:
    """Return the hint of a 405: the methods in its ``Allow`` header."""
    allow = {name.lower(): value for name, value in (headers or {}).items()}.get("allow", "")
    methods = [one for one in map(str.strip, allow.split(",")) if one in ("GET", "POST", "DELETE")]
    return f"Use {' or '.join(methods)}." if methods else _PATHS_HINT


def _handle_unexpected(request: LitestarRequest, error: Exception) -> Response[bytes]:
    return _error_response(request, to_proxy_error(error))
