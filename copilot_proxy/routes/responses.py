"""``POST /v1/responses`` and the paths below it that call a model: OpenAI's Responses API."""

from contextlib import nullcontext

import msgspec

from copilot_proxy.asgi import ASGIApp
from copilot_proxy.formats.responses.api import RESPONSES
from copilot_proxy.formats.responses.compaction import (
    compacted_conversation,
    compaction_response,
    is_compaction,
    summary_request,
)
from copilot_proxy.relay.compacted_reply import CompactedReply
from copilot_proxy.relay.costs import INPUT_TOKENS
from copilot_proxy.relay.reply import Reply, ReplySource
from copilot_proxy.relay.warm_up_reply import WarmUpReply
from copilot_proxy.routes.answers import answer, answer_with_count
from copilot_proxy.routes.services import (
    Request,
    get_caller,
    get_context,
    get_services,
    get_turn,
    parse_body,
    read_chat_body,
    start_record,
)
from copilot_proxy.routes.streaming import EventStream, WholeAnswer


async def responses(request: Request) -> ASGIApp:
    """Works with every chat model of the account; see docs/api.md."""
    data, notes = await read_chat_body(request)
    memory, caller = get_services(request).responses, get_caller(request)
    turn = get_turn(request)
    if turn.is_warm_up:
        return await _warm_up(request, data, notes)
    parsed = await parse_body(data, RESPONSES.parse)
    compacts = is_compaction(parsed)
    if compacts:
        parsed["store"] = False
    resumed = await memory.resume(parsed, caller, len(data), notes, turn.web_socket)
    remember = memory.remembering(resumed, caller)

    def extend(reply: Reply) -> ReplySource:
        if compacts:
            return CompactedReply(reply)
        reply.before_last = remember
        return reply

    return answer(
        request,
        RESPONSES,
        summary_request(resumed.request) if compacts else resumed.request,
        body_bytes=len(data),
        conversation_bytes=resumed.size,
        notes=notes,
        extend=extend,
    )


async def _warm_up(request: Request, data: bytes, notes: list[str]) -> ASGIApp:
    """Return a response without output, after checking that the model could be called."""
    services, caller = get_services(request), get_caller(request)
    parsed = await parse_body(data, RESPONSES.parse_warm_up)
    web_socket = get_turn(request).web_socket
    resumed = await services.responses.resume(parsed, caller, len(data), notes, web_socket)
    # This fetches the token and the catalogue for the next request.
    await services.relay.models.for_request("chat", parsed["model"], caller)
    request_id = get_context(request).request_id
    remember = services.responses.remembering(resumed, caller)
    return EventStream(
        lambda: nullcontext(WarmUpReply(resumed.request, request_id, remember)),
        RESPONSES.stream_format(parsed),
        lambda error: RESPONSES.fail(parsed, error, request_id),
        grace=services.settings.header_grace,
        keep_alive=services.settings.keep_alive,
    )


async def count_input_tokens(request: Request) -> ASGIApp:
    """Free of charge."""
    data, notes = await read_chat_body(request)
    services, caller = get_services(request), get_caller(request)
    parsed = await parse_body(data, RESPONSES.parse_count)
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


async def compact_response(request: Request) -> ASGIApp:
    """Asks the model for a summary, which is billed like any other request."""
    data, notes = await read_chat_body(request)
    services, caller = get_services(request), get_caller(request)
    parsed = await parse_body(data, RESPONSES.parse)
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
