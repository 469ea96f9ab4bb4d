"""``POST /v1/chat/completions``: OpenAI's Chat Completions API, streamed or not."""

from litestar import post
from litestar.types import ASGIApp

from copilot_proxy.formats.chat_completions.api import CHAT_COMPLETIONS
from copilot_proxy.formats.chat_completions.response_schema import ChatCompletion, OpenAIErrorBody
from copilot_proxy.formats.chat_completions.schema import ChatCompletionRequest
from copilot_proxy.large_work import run_if_large
from copilot_proxy.routes.answers import answer
from copilot_proxy.routes.openapi import answers_with, documented
from copilot_proxy.routes.services import LitestarRequest, read_chat_body


@post(
    CHAT_COMPLETIONS.client_path,
    status_code=200,
    operation_class=documented(
        ChatCompletionRequest,
        events="Each data line is a ChatCompletionChunk; the last one is [DONE].",
    ),
    responses=answers_with(
        ChatCompletion,
        OpenAIErrorBody,
        "The completion. With `stream`, server-sent events: each is a ChatCompletionChunk, and "
        "the stream ends with `data: [DONE]`.",
    ),
    summary="Create a chat completion (OpenAI)",
)
async def chat_completions(request: LitestarRequest) -> ASGIApp:
    """Works with every chat model of the account, with tools and images; see docs/api.md."""
    data, notes = await read_chat_body(request)
    body = await run_if_large(len(data), CHAT_COMPLETIONS.parse, data)
    return answer(request, CHAT_COMPLETIONS, body, body_bytes=len(data), notes=notes)
