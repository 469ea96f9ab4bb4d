"""``POST /v1/messages`` and ``/v1/messages/count_tokens``: Anthropic's Messages API."""

from litestar import post
from litestar.types import ASGIApp

from copilot_proxy.formats.messages import schema
from copilot_proxy.formats.messages.api import MESSAGES
from copilot_proxy.large_work import run_if_large
from copilot_proxy.relay.costs import COUNT_TOKENS
from copilot_proxy.routes.answers import answer, answer_with_count
from copilot_proxy.routes.openapi import answers_with, documented
from copilot_proxy.routes.services import (
    LitestarRequest,
    read_chat_body,
)


@post(
    MESSAGES.client_path,
    status_code=200,
    operation_class=documented(
        schema.MessagesRequest, events="The events of Anthropic's Messages API."
    ),
    responses=answers_with(
        schema.Message,
        schema.AnthropicErrorBody,
        "The message. With `stream`, the events of Anthropic's Messages API.",
    ),
    summary="Create a message (Anthropic)",
)
async def messages(request: LitestarRequest) -> ASGIApp:
    """Works with every chat model of the account; see docs/api.md."""
    data, notes = await read_chat_body(request)
    body = await run_if_large(len(data), MESSAGES.parse, data)
    betas = request.headers.getall("anthropic-beta", [])
    return answer(request, MESSAGES, body, body_bytes=len(data), betas=betas, notes=notes)


@post(
    "/v1/messages/count_tokens",
    status_code=200,
    operation_class=documented(schema.CountTokensRequest),
    responses=answers_with(
        schema.TokenCount,
        schema.AnthropicErrorBody,
        "The number of input tokens, as Copilot counts them. If it is an estimate, the header "
        "x-copilot-proxy-notes says so.",
    ),
    summary="Count the tokens of a message (Anthropic)",
)
async def count_tokens(request: LitestarRequest) -> ASGIApp:
    """Free of charge."""
    data, _ = await read_chat_body(request)
    body = await run_if_large(len(data), MESSAGES.parse_count, data)
    betas = request.headers.getall("anthropic-beta", [])
    return answer_with_count(
        request, MESSAGES, body, name=COUNT_TOKENS, body_bytes=len(data), betas=betas
    )
