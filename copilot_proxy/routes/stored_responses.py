"""``/v1/responses/{id}`` and the paths below it: responses that the server remembers."""

from litestar import delete, get, post
from litestar.params import FromPath

from copilot_proxy.asgi import ASGIApp
from copilot_proxy.errors import RequestError
from copilot_proxy.formats.chat_completions.response_schema import OpenAIErrorBody
from copilot_proxy.formats.responses import schema
from copilot_proxy.formats.responses.api import RESPONSES
from copilot_proxy.formats.responses.item_pages import parse_query
from copilot_proxy.routes.answers import JsonResponse
from copilot_proxy.routes.litestar_request import LitestarRequest
from copilot_proxy.routes.openapi import answers_with, documented
from copilot_proxy.routes.services import get_caller, get_services

_PATH = RESPONSES.client_path + "/{response_id:str}"


@get(
    _PATH,
    operation_class=documented(),
    responses=answers_with(schema.Response, OpenAIErrorBody, "The response, as it was sent."),
    summary="Show a response (OpenAI)",
)
async def get_response(request: LitestarRequest, response_id: FromPath[str]) -> ASGIApp:
    """Finds the caller's own responses, while they are remembered."""
    memory = get_services(request).responses
    found = await memory.response(response_id, get_caller(request))
    if request.query_params.get("stream") == "true":
        raise RequestError(
            "A response can be streamed only when it is created.",
            param="stream",
            code="unsupported_value",
            hint="Omit `stream` to get the whole response.",
        )
    return JsonResponse(found)


@delete(
    _PATH,
    status_code=200,
    operation_class=documented(),
    responses=answers_with(schema.DeletedResponse, OpenAIErrorBody, "The response was deleted."),
    summary="Delete a response (OpenAI)",
)
async def delete_response(request: LitestarRequest, response_id: FromPath[str]) -> ASGIApp:
    """Responses that continue the deleted one keep its items."""
    get_services(request).responses.forget(response_id, get_caller(request))
    return JsonResponse({"id": response_id, "object": "response", "deleted": True})


@get(
    _PATH + "/input_items",
    operation_class=documented(),
    responses=answers_with(schema.ItemList, OpenAIErrorBody, "A page of items, latest first."),
    summary="List the input items of a response (OpenAI)",
)
async def list_input_items(request: LitestarRequest, response_id: FromPath[str]) -> ASGIApp:
    """Includes the items of the responses that this response continues. Parameters: `limit` (1 to
    100, by default 20), `order` (`desc`, `asc`), `after` (the id of an item)."""
    given = request.query_params
    query = parse_query(given.get("limit"), given.get("order"), given.get("after"))
    memory = get_services(request).responses
    return JsonResponse(await memory.input_page(response_id, get_caller(request), query))


@post(_PATH + "/cancel", status_code=200, include_in_schema=False)
async def cancel_response(request: LitestarRequest, response_id: FromPath[str]) -> ASGIApp:
    """Refuse to cancel a response, as OpenAI does unless the response runs in the background."""
    get_services(request).responses.find(response_id, get_caller(request))
    raise RequestError(
        "Only a response with `background` can be canceled, and this one is complete.",
        code="response_not_cancellable",
        hint="To stop a response while it is being written, close the connection.",
    )
