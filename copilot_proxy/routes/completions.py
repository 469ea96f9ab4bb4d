"""``POST /v1/completions``: OpenAI's Completions API, the predecessor of Chat Completions."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from litestar import post

from copilot_proxy.asgi import ASGIApp
from copilot_proxy.formats.chat_completions.response_schema import OpenAIErrorBody
from copilot_proxy.formats.completions.api import COMPLETIONS
from copilot_proxy.formats.completions.request import has_tokens
from copilot_proxy.formats.completions.request_to_chat import split_request
from copilot_proxy.formats.completions.schema import Completion, CompletionsRequest
from copilot_proxy.large_work import run_in_turn
from copilot_proxy.relay.continuations import Continuations
from copilot_proxy.relay.records import new_request_id
from copilot_proxy.relay.reply import ReplySource
from copilot_proxy.routes.answers import answer, respond
from copilot_proxy.routes.litestar_request import LitestarRequest
from copilot_proxy.routes.openapi import answers_with, documented
from copilot_proxy.routes.services import (
    get_caller,
    get_context,
    get_services,
    parse_body,
    read_body,
    start_record,
)
from copilot_proxy.tokenizer import decode


@post(
    COMPLETIONS.client_path,
    status_code=200,
    operation_class=documented(
        CompletionsRequest, events="Each data line is a Completion; the last one is [DONE]."
    ),
    responses=answers_with(
        Completion,
        OpenAIErrorBody,
        "The completion. With `stream`, server-sent events: each is a Completion, and the stream "
        "ends with `data: [DONE]`.",
    ),
    summary="Create a completion (OpenAI, the predecessor of Chat Completions)",
)
async def completions(request: LitestarRequest) -> ASGIApp:
    """Works with every chat model of the account, which receives each prompt as a user message.
    Each of the `n` completions of each prompt is a separate call to Copilot."""
    data = await read_body(request)
    body = await parse_body(data, COMPLETIONS.parse)
    notes: list[str] = []
    if has_tokens(body):
        # Loading the tokenizer's tables takes time, and must not block other requests.
        requests = await run_in_turn(split_request, body, decode, notes)
    else:
        requests = split_request(body, decode, notes)
    if len(requests) == 1:
        return answer(request, COMPLETIONS, requests[0], body_bytes=len(data), notes=notes)

    services, caller = get_services(request), get_caller(request)

    @asynccontextmanager
    async def open_one(number: int) -> AsyncIterator[ReplySource]:
        single = {**requests[number], "stream_options": {"include_usage": True}}
        record = start_record(request, COMPLETIONS.name, single, len(data), notes)
        if number:
            # Each call has its own record. The client already has the id of the first.
            record.request_id = new_request_id()
        async with services.relay.answer(COMPLETIONS, single, record, caller=caller) as reply:
            yield reply

    include_usage = COMPLETIONS.wants_usage(body)
    return respond(
        services,
        COMPLETIONS,
        requests[0],
        lambda: Continuations(open_one, len(requests), include_usage=include_usage),
        is_large=False,
        request_id=get_context(request).request_id,
    )
