"""``POST /v1/embeddings``: OpenAI's Embeddings API."""

import msgspec
from litestar import post
from litestar.types import ASGIApp

from copilot_proxy.formats.chat_completions.response_schema import OpenAIErrorBody
from copilot_proxy.formats.embeddings import EmbeddingList, EmbeddingsRequest, parse_request
from copilot_proxy.large_work import run_if_large
from copilot_proxy.relay.costs import cost_headers
from copilot_proxy.routes.openapi import answers_with, documented
from copilot_proxy.routes.services import (
    LitestarRequest,
    get_caller,
    get_services,
    read_body,
    start_record,
)
from copilot_proxy.routes.streaming import WholeAnswer


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
    relay, caller = get_services(request).relay, get_caller(request)
    record = start_record(request, "embeddings", body, len(data))

    async def make_answer() -> tuple[bytes, dict[str, str]]:
        vectors = await relay.embeddings(body, record, caller=caller)
        headers = {"x-copilot-proxy-route": "embeddings", **cost_headers(record)}
        return msgspec.json.encode(vectors), headers

    return WholeAnswer(make_answer)
