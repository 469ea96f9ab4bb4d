"""The methods that a path accepts, for the header ``Allow`` and responses to OPTIONS."""

from collections.abc import Collection
from typing import Final

from litestar import Response

from copilot_proxy.errors import RequestError
from copilot_proxy.formats.client_paths import GEMINI_METHODS, GEMINI_PATH
from copilot_proxy.formats.responses.api import RESPONSES
from copilot_proxy.routes.litestar_request import LitestarRequest
from copilot_proxy.routes.ollama import is_off, off_error
from copilot_proxy.routes.services import is_handshake

_ORDER: Final = ("GET", "HEAD", "POST", "DELETE", "OPTIONS")


def allowed_methods(path: str, methods: Collection[str]) -> list[str]:
    """Return the methods to list in the header ``Allow`` for `path`, whose routes have
    `methods`."""
    if path.startswith(GEMINI_PATH + "/"):
        # For the framework, this is a single path. Its last part determines the HTTP method.
        methods = ("POST",) if path.rpartition(":")[2] in GEMINI_METHODS else ("GET",)
    elif path == RESPONSES.client_path:
        methods = ("POST",)  # GET is the handshake of a WebSocket
    accepted = {*methods, "OPTIONS", *(["HEAD"] if "GET" in methods else [])}
    return [method for method in _ORDER if method in accepted]


def method_error(request: LitestarRequest, methods: Collection[str]) -> RequestError:
    """Return the error for a request whose method is not one of the path's `methods`."""
    path = request.url.path
    allowed = allowed_methods(path, methods)
    useful = [method for method in allowed if method not in ("HEAD", "OPTIONS")]
    message = f"The method is not allowed for this URL ({request.method} {path[:200]})."
    hint = f"Use {' or '.join(useful)}."
    if is_handshake(request):
        message = f"{path[:200]} has no WebSocket."
        hint = f"Open it on {RESPONSES.client_path}, or send a {' or '.join(useful)} request."
    return RequestError(
        message,
        hint=hint,
        status=405,
        code="method_not_supported",
        headers={"allow": ", ".join(allowed)},
    )


async def answer_options(request: LitestarRequest) -> Response[None] | None:
    """Respond to OPTIONS, for which the framework would only list the methods of one handler.

    This is a hook that runs before every handler; None lets the handler respond.
    """
    if request.method != "OPTIONS":
        return None
    if is_off(request):
        raise off_error(f"OPTIONS {request.url.path[:200]}")
    template = request.scope["path_template"]
    methods = {
        method
        for route in request.app.routes
        if route.path_format == template
        for method in route.methods
    }
    allow = ", ".join(allowed_methods(request.url.path, methods))
    return Response(None, status_code=204, headers={"allow": allow})
