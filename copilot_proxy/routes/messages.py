"""``POST /v1/messages`` and ``/v1/messages/count_tokens``: Anthropic's Messages API."""

import msgspec
from litestar import post
from litestar.types import ASGIApp

from copilot_proxy.formats.messages import schema
from copilot_proxy.formats.messages.api import MESSAGES
from copilot_proxy.routes.answers import answer
from copilot_proxy.routes.openapi import answers_with, documented
from copilot_proxy.routes.services import (
    AnyRequest,
    caller_of,
    conversation_of,
    record_of,
    services_of,
)
from copilot_proxy.routes.streaming import WholeAnswer


@post(
    "/v1/messages",
    status_code=200,
    operation_class=documented(
        schema.MessagesRequest, events="The events of Anthropic's Messages API."
    ),
    responses=answers_with(
        schema.Message,
        schema.ErrorBody,
        "The message. With `stream` it comes as the events of Anthropic's Messages API.",
    ),
    summary="Answer a conversation (Anthropic)",
)
async def messages(request: AnyRequest) -> ASGIApp:
    """Any chat model of the account; see docs/api.md."""
    body, notes = await conversation_of(request)
    asked = MESSAGES.parse(body)
    betas = request.headers.getall("anthropic-beta", [])
    return answer(request, MESSAGES, asked, body_bytes=len(body), betas=betas, notes=notes)


@post(
    "/v1/messages/count_tokens",
    status_code=200,
    operation_class=documented(schema.CountTokensRequest),
    responses=answers_with(
        schema.TokenCount,
        schema.ErrorBody,
        "How many tokens the request has: by Copilot's count, or an estimate; "
        "x-copilot-proxy-notes says so if it is one.",
    ),
    summary="Count a request's tokens (Anthropic)",
)
async def count_tokens(request: AnyRequest) -> ASGIApp:
    """Costs nothing."""
    body, _ = await conversation_of(request)
    asked = MESSAGES.parse_count(body)
    betas = request.headers.getall("anthropic-beta", [])
    relay, caller = services_of(request).relay, caller_of(request)
    record = record_of(request, "count_tokens", len(body))

    async def whole() -> tuple[bytes, dict[str, str]]:
        count, headers = await relay.count_tokens(asked, record, caller=caller, betas=betas)
        return msgspec.json.encode(count), headers

    return WholeAnswer(whole)
