"""``POST /v1/embeddings``: OpenAI's Embeddings API."""

from litestar import post
from litestar.types import ASGIApp

from copilot_proxy.formats.chat_completions.response_schema import OpenAIErrorBody
from copilot_proxy.formats.embeddings import EmbeddingList, EmbeddingsRequest, parse_request
from copilot_proxy.large_work import run_if_large
from copilot_proxy.routes.answers import answer_with_embeddings
from copilot_proxy.routes.openapi import answers_with, documented
from copilot_proxy.routes.services import (
    LitestarRequest,
    read_body,
)


@post(
    "/v1/embeddings",
    status_code=200,
    operation_class=documented(EmbeddingsRequest),
    responses=answers_with(
        EmbeddingList, OpenAIErrorBody, "The vectors, in the order of the inputs."
    ),
    summary="Create embeddings (OpenAI)",
)
async def embeddings(request: LitestarRequest) -> ASGIApp:
    """Takes up to 2048 texts or lists of token ids; returns floats or base64."""
    data = await read_body(request)
    body = await run_if_large(len(data), parse_request, data)
    return answer_with_embeddings(request, body, body_bytes=len(data))
