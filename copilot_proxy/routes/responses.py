"""``POST /v1/responses``: OpenAI's Responses API. Responses are not stored."""

from litestar import Response, get, post, route
from litestar.exceptions import MethodNotAllowedException
from litestar.types import ASGIApp

from copilot_proxy.errors import RequestError
from copilot_proxy.formats.chat_completions.response_schema import OpenAIErrorBody
from copilot_proxy.formats.responses import schema
from copilot_proxy.formats.responses.api import RESPONSES
from copilot_proxy.large_work import run_if_large
from copilot_proxy.routes.answers import answer
from copilot_proxy.routes.openapi import answers_with, documented
from copilot_proxy.routes.services import LitestarRequest, read_chat_body


@post(
    RESPONSES.client_path,
    status_code=200,
    operation_class=documented(
        schema.ResponsesRequest, events="The events of OpenAI's Responses API."
    ),
    responses=answers_with(
        schema.Response,
        OpenAIErrorBody,
        "The response. With `stream`, the events of OpenAI's Responses API.",
    ),
    summary="Create a response (OpenAI)",
)
async def responses(request: LitestarRequest) -> ASGIApp:
    """Works with every chat model of the account; see docs/api.md."""
    data, notes = await read_chat_body(request)
    body = await run_if_large(len(data), RESPONSES.parse, data)
    return answer(request, RESPONSES, body, body_bytes=len(data), notes=notes)


@get(RESPONSES.client_path, include_in_schema=False)
async def refuse_web_socket(request: LitestarRequest) -> Response[bytes]:
    """Refuse a WebSocket with 426, so that the client falls back to plain requests.

    The Codex CLI tries a WebSocket first, unless its settings say otherwise. After 426 it continues
    over HTTP at once; after any other status it first tries several times.
    """
    if request.headers.get("upgrade", "").lower() != "websocket":
        raise MethodNotAllowedException(headers={"allow": "POST"})
    raise RequestError(
        "This server does not support WebSocket.",
        status=426,
        code="websocket_not_supported",
        hint="Send the request with POST.",
        headers={"upgrade": "HTTP/1.1"},
    )


@route(
    ["/v1/responses/{stored:path}"],
    http_method=["GET", "DELETE", "POST"],
    include_in_schema=False,
)
async def stored_responses(request: LitestarRequest) -> Response[bytes]:
    """Raise 404: there are no stored responses."""
    raise RequestError(
        "Responses are not stored, neither by Copilot nor by this server.",
        status=404,
        code="response_not_found",
        hint="Keep the output items, and send them with the next input.",
    )
