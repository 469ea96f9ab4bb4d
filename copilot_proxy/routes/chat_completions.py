"""``POST /v1/chat/completions``: OpenAI's chat completions, streamed and not."""

from litestar import post
from litestar.types import ASGIApp

from copilot_proxy.formats.chat_completions.api import CHAT_COMPLETIONS
from copilot_proxy.formats.chat_completions.schema import (
    ChatCompletion,
    ChatCompletionRequest,
    ErrorBody,
)
from copilot_proxy.routes.answers import answer
from copilot_proxy.routes.openapi import answers_with, documented
from copilot_proxy.routes.services import AnyRequest, conversation_of


@post(
    "/v1/chat/completions",
    status_code=200,
    operation_class=documented(
        ChatCompletionRequest, events="Each data is a ChatCompletionChunk; the last is [DONE]."
    ),
    responses=answers_with(
        ChatCompletion,
        ErrorBody,
        "The answer. With `stream` it comes as server-sent events, each a ChatCompletionChunk, "
        "and ends with `data: [DONE]`.",
    ),
    summary="Answer a conversation (OpenAI)",
)
async def chat_completions(request: AnyRequest) -> ASGIApp:
    """Any chat model of the account, with tools and images; see docs/api.md."""
    body, notes = await conversation_of(request)
    asked = CHAT_COMPLETIONS.parse(body)
    return answer(request, CHAT_COMPLETIONS, asked, body_bytes=len(body), notes=notes)
