"""``POST /v1/chat/completions``: OpenAI's Chat Completions API, streamed or not."""

from copilot_proxy.asgi import ASGIApp
from copilot_proxy.formats.chat_completions.api import CHAT_COMPLETIONS
from copilot_proxy.routes.answers import answer
from copilot_proxy.routes.services import Request, parse_body, read_chat_body


async def chat_completions(request: Request) -> ASGIApp:
    """Works with every chat model of the account, with tools and images; see docs/api.md."""
    data, notes = await read_chat_body(request)
    body = await parse_body(data, CHAT_COMPLETIONS.parse)
    return answer(request, CHAT_COMPLETIONS, body, body_bytes=len(data), notes=notes)
