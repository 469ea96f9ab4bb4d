"""``POST /v1/embeddings``: OpenAI's Embeddings API."""

from typing import Final

import msgspec

from copilot_proxy.asgi import ASGIApp
from copilot_proxy.formats.embeddings import parse_request
from copilot_proxy.large_work import run_if_large
from copilot_proxy.relay.costs import cost_headers
from copilot_proxy.routes.services import (
    Request,
    get_caller,
    get_services,
    read_body,
    start_record,
)
from copilot_proxy.routes.streaming import WholeAnswer

PATH: Final = "/v1/embeddings"


async def embeddings(request: Request) -> ASGIApp:
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
