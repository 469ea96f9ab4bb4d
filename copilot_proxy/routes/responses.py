"""``POST /v1/responses``: OpenAI's Responses API. Nothing is stored or can be read back."""

from litestar import Response, get, post, route
from litestar.exceptions import MethodNotAllowedException
from litestar.types import ASGIApp

from copilot_proxy.errors import RequestError
from copilot_proxy.formats.chat_completions.schema import ErrorBody
from copilot_proxy.formats.responses import schema
from copilot_proxy.formats.responses.api import RESPONSES
from copilot_proxy.routes.answers import answer
from copilot_proxy.routes.openapi import answers_with, documented
from copilot_proxy.routes.services import AnyRequest, conversation_of


@post(
    "/v1/responses",
    status_code=200,
    operation_class=documented(
        schema.ResponsesRequest, events="The events of OpenAI's Responses API."
    ),
    responses=answers_with(
        schema.Response,
        ErrorBody,
        "The response. With `stream` it comes as the events of OpenAI's Responses API.",
    ),
    summary="Answer a conversation (OpenAI Responses)",
)
async def responses(request: AnyRequest) -> ASGIApp:
    """Any chat model of the account; see docs/api.md."""
    body, notes = await conversation_of(request)
    asked = RESPONSES.parse(body)
    return answer(request, RESPONSES, asked, body_bytes=len(body), notes=notes)


@get("/v1/responses", include_in_schema=False)
async def web_socket(request: AnyRequest) -> Response[bytes]:
    """Sends a client that asks for a WebSocket back to plain requests.

    The Codex CLI tries one first, unless its settings say otherwise; with 426 it goes on over HTTP
    at once, while any other refusal costs it several tries.
    """
    if request.headers.get("upgrade", "").lower() != "websocket":
        raise MethodNotAllowedException(headers={"allow": "POST"})
    raise RequestError(
        "This server does not speak WebSocket.",
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
async def stored_responses(request: AnyRequest) -> Response[bytes]:
    """Always a 404 that says why."""
    raise RequestError(
        "Responses are not stored: neither Copilot nor this server keeps them.",
        status=404,
        code="response_not_found",
        hint="Keep the output items, and send them with the next input.",
    )
