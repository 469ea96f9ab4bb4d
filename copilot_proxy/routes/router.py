"""The framework's router, with all routes, and its error responses.

Importing this module loads the framework, so `lazy_router` imports it only when it is needed.
"""

from typing import Final, cast

from litestar import Litestar, Response
from litestar.exceptions import HTTPException

from copilot_proxy.asgi import Scope
from copilot_proxy.errors import CopilotProxyError, RequestError
from copilot_proxy.middleware.error_responses import error_parts, to_proxy_error
from copilot_proxy.routes.allowed_methods import answer_options, method_error
from copilot_proxy.routes.completions import completions
from copilot_proxy.routes.dashboard import change_dashboard, dashboard_events, dashboard_part
from copilot_proxy.routes.declarations import DECLARED_ROUTES
from copilot_proxy.routes.gemini import (
    call_gemini_model,
    get_gemini_model,
    list_gemini_models,
)
from copilot_proxy.routes.handshake import open_web_socket
from copilot_proxy.routes.litestar_request import LitestarRequest
from copilot_proxy.routes.metrics import metrics
from copilot_proxy.routes.ollama import OLLAMA_ROUTES, is_off, off_error
from copilot_proxy.routes.openapi import openapi_config
from copilot_proxy.routes.root import client_telemetry, root
from copilot_proxy.routes.stored_responses import (
    cancel_response,
    delete_response,
    get_response,
    list_input_items,
)
from copilot_proxy.routes.unsupported import not_supported

_ROUTES: Final = (
    *DECLARED_ROUTES,
    completions,
    open_web_socket,
    get_response,
    delete_response,
    list_input_items,
    cancel_response,
    call_gemini_model,
    list_gemini_models,
    get_gemini_model,
    metrics,
    root,
    dashboard_part,
    dashboard_events,
    change_dashboard,
    client_telemetry,
    *OLLAMA_ROUTES,
)
_PATHS_HINT: Final = (
    "Use /v1/chat/completions, /v1/responses, /v1/messages, /v1/embeddings, /v1/models or "
    "/v1beta/models/MODEL:generateContent; GET /schema describes them."
)


def make_router() -> Litestar:
    """Return the router of all routes, without the middleware."""
    return Litestar(
        route_handlers=_ROUTES,
        before_request=answer_options,
        exception_handlers={
            CopilotProxyError: _error_response,
            HTTPException: _handle_http_exception,
            Exception: _handle_unexpected,
        },
        openapi_config=openapi_config(),
        logging_config=None,
    )


def _error_response(request: LitestarRequest, error: CopilotProxyError) -> Response[bytes]:
    status, body, headers = error_parts(cast("Scope", request.scope), error)
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
        ours = method_error(request, (error.headers or {}).get("allow", "").split(", "))
    else:
        ours = RequestError(error.detail, status=error.status_code)
    return _error_response(request, ours)


def _handle_unexpected(request: LitestarRequest, error: Exception) -> Response[bytes]:
    return _error_response(request, to_proxy_error(error))
