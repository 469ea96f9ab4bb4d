"""``POST /v1/embeddings``: OpenAI's Embeddings API."""

from typing import Final

from copilot_proxy.asgi import ASGIApp
from copilot_proxy.formats.client_paths import EMBEDDINGS_PATH
from copilot_proxy.formats.embeddings import parse_request
from copilot_proxy.routes.answers import answer_with_embeddings
from copilot_proxy.routes.services import Request, parse_body, read_body

PATH: Final = EMBEDDINGS_PATH


async def embeddings(request: Request) -> ASGIApp:
    """Accepts up to 2048 strings or lists of token ids; returns floats or base64."""
    data = await read_body(request)
    body = await parse_body(data, parse_request)
    return answer_with_embeddings(request, body, body_bytes=len(data))
