"""``POST /v1/embeddings``: OpenAI's Embeddings API."""

from typing import Final

from copilot_proxy.asgi import ASGIApp
from copilot_proxy.formats.client_paths import EMBEDDINGS_PATH
from copilot_proxy.formats.embeddings import parse_request
from copilot_proxy.large_work import run_if_large
from copilot_proxy.routes.answers import answer_with_embeddings
from copilot_proxy.routes.services import Request, read_body

PATH: Final = EMBEDDINGS_PATH


async def embeddings(request: Request) -> ASGIApp:
    """Takes up to 2048 texts or lists of token ids; returns floats or base64."""
    data = await read_body(request)
    body = await run_if_large(len(data), parse_request, data)
    return answer_with_embeddings(request, body, body_bytes=len(data))
