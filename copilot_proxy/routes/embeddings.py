"""``POST /v1/embeddings``: OpenAI's embeddings."""

import msgspec
from litestar import post
from litestar.types import ASGIApp

from copilot_proxy.formats.chat_completions.schema import ErrorBody
from copilot_proxy.formats.embeddings import EmbeddingList, EmbeddingsRequest, parse_request
from copilot_proxy.routes.openapi import answers_with, documented
from copilot_proxy.routes.services import (
    AnyRequest,
    body_of,
    caller_of,
    record_of,
    services_of,
)
from copilot_proxy.routes.streaming import WholeAnswer


@post(
    "/v1/embeddings",
    status_code=200,
    operation_class=documented(EmbeddingsRequest),
    responses=answers_with(EmbeddingList, ErrorBody, "The vectors, in the order of the inputs."),
    summary="Embed texts (OpenAI)",
)
async def embeddings(request: AnyRequest) -> ASGIApp:
    """Texts or token ids, any number up to 2048; floats or base64."""
    body = await body_of(request)
    asked = parse_request(body)
    relay, caller = services_of(request).relay, caller_of(request)
    record = record_of(request, "embeddings", len(body))

    async def whole() -> tuple[bytes, dict[str, str]]:
        found = await relay.embeddings(asked, record, caller=caller)
        return msgspec.json.encode(found), {"x-copilot-proxy-route": "embeddings"}

    return WholeAnswer(whole)
