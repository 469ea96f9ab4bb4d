"""``POST /v1/responses`` and the paths below it that call a model: OpenAI's Responses API."""

from collections.abc import Callable
from contextlib import nullcontext

import msgspec
from litestar import Response, get, post
from litestar.exceptions import MethodNotAllowedException
from litestar.types import ASGIApp

from copilot_proxy.formats.chat_completions.response_schema import OpenAIErrorBody
from copilot_proxy.formats.responses import schema
from copilot_proxy.formats.responses.api import RESPONSES
from copilot_proxy.formats.responses.compaction import (
    compacted_conversation,
    compaction_response,
    is_compaction,
    summary_request,
)
from copilot_proxy.large_work import run_if_large
from copilot_proxy.relay.compacted_reply import CompactedReply
from copilot_proxy.relay.costs import INPUT_TOKENS
from copilot_proxy.relay.reply import ReplySource
from copilot_proxy.relay.warm_up_reply import WarmUpReply
from copilot_proxy.routes.answers import answer, answer_with_count
from copilot_proxy.routes.openapi import answers_with, documented
from copilot_proxy.routes.services import (
    LitestarRequest,
    get_caller,
    get_context,
    get_services,
    get_turn,
    is_handshake,
    read_chat_body,
    start_record,
)
from copilot_proxy.routes.streaming import EventStream, WholeAnswer


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
    memory, caller = get_services(request).responses, get_caller(request)
    turn = get_turn(request)
    if turn.is_warm_up:
        return await _warm_up(request, data, notes)
    parsed = await run_if_large(len(data), RESPONSES.parse, data)
    compacts = is_compaction(parsed)
    if compacts:
        parsed["store"] = False
    resumed = await memory.resume(parsed, caller, len(data), notes, turn.web_socket)
    extend: Callable[[ReplySource], ReplySource]
    if compacts:
        body, extend = summary_request(resumed.request), CompactedReply
    else:
        body, extend = resumed.request, memory.remembering(resumed, caller)
    return answer(
        request,
        RESPONSES,
        body,
        body_bytes=len(data),
        conversation_bytes=resumed.size,
        notes=notes,
        extend=extend,
    )


async def _warm_up(request: LitestarRequest, data: bytes, notes: list[str]) -> ASGIApp:
    """Return a response without output, after checking that the model could be asked."""
    services, caller = get_services(request), get_caller(request)
    parsed = await run_if_large(len(data), RESPONSES.parse_warm_up, data)
    web_socket = get_turn(request).web_socket
    resumed = await services.responses.resume(parsed, caller, len(data), notes, web_socket)
    # Has the token and the catalogue ready for the next request.
    await services.relay.models.for_request("chat", parsed["model"], caller)
    request_id = get_context(request).request_id
    reply = WarmUpReply(resumed.request, request_id)
    return EventStream(
        lambda: nullcontext(services.responses.remembering(resumed, caller)(reply)),
        RESPONSES.stream_format(parsed),
        lambda error: RESPONSES.fail(parsed, error, request_id),
        grace=services.settings.header_grace,
        keep_alive=services.settings.keep_alive,
    )


@post(
    RESPONSES.client_path + "/input_tokens",
    status_code=200,
    operation_class=documented(schema.InputTokensRequest),
    responses=answers_with(
        schema.InputTokens,
        OpenAIErrorBody,
        "An estimate of the number of input tokens, as the header x-copilot-proxy-notes says.",
    ),
    summary="Count the input tokens of a response (OpenAI)",
)
async def count_input_tokens(request: LitestarRequest) -> ASGIApp:
    """Free of charge."""
    data, notes = await read_chat_body(request)
    services, caller = get_services(request), get_caller(request)
    parsed = await run_if_large(len(data), RESPONSES.parse_count, data)
    parsed["store"] = False
    resumed = await services.responses.resume(parsed, caller, len(data), notes)
    return answer_with_count(
        request,
        RESPONSES,
        resumed.request,
        name=INPUT_TOKENS,
        body_bytes=len(data),
        conversation_bytes=resumed.size,
        convert=lambda count: {"object": "response.input_tokens", **count},
    )


@post(
    RESPONSES.client_path + "/compact",
    status_code=200,
    operation_class=documented(schema.CompactRequest),
    responses=answers_with(
        schema.CompactedResponse, OpenAIErrorBody, "The compacted conversation."
    ),
    summary="Compact a conversation (OpenAI)",
)
async def compact_response(request: LitestarRequest) -> ASGIApp:
    """Asks the model for a summary, which is charged like any other request."""
    data, notes = await read_chat_body(request)
    services, caller = get_services(request), get_caller(request)
    parsed = await run_if_large(len(data), RESPONSES.parse, data)
    parsed |= {"store": False, "stream": False}
    resumed = await services.responses.resume(parsed, caller, len(data), notes)
    record = start_record(request, RESPONSES.name, parsed, len(data), notes)
    record.conversation_bytes = resumed.size

    async def make_answer() -> tuple[bytes, dict[str, str]]:
        asked = summary_request(resumed.request)
        async with services.relay.answer(RESPONSES, asked, record, caller=caller) as reply:
            compaction = compaction_response(await reply.whole())
            body = compacted_conversation(resumed.request, compaction)
            return msgspec.json.encode(body), reply.headers

    return WholeAnswer(make_answer)


@get(RESPONSES.client_path, include_in_schema=False)
async def open_web_socket(request: LitestarRequest) -> Response[bytes]:
    """Accept a WebSocket, whose request is passed through all checks as a GET (`web_socket`)."""
    if not is_handshake(request):
        raise MethodNotAllowedException(headers={"allow": "POST"})
    return Response(b"", status_code=101)
