"""``POST /v1/messages`` and ``/v1/messages/count_tokens``: Anthropic's Messages API."""

from typing import Final

from copilot_proxy.asgi import ASGIApp
from copilot_proxy.formats.messages.api import MESSAGES
from copilot_proxy.relay.costs import COUNT_TOKENS
from copilot_proxy.routes.answers import answer, answer_with_count
from copilot_proxy.routes.services import Request, parse_body, read_chat_body

COUNT_PATH: Final = MESSAGES.client_path + "/count_tokens"


async def messages(request: Request) -> ASGIApp:
    """Works with every chat model of the account; see docs/api.md."""
    data, notes = await read_chat_body(request)
    body = await parse_body(data, MESSAGES.parse)
    betas = _betas(request)
    return answer(request, MESSAGES, body, body_bytes=len(data), betas=betas, notes=notes)


async def count_tokens(request: Request) -> ASGIApp:
    """Free of charge."""
    data, _ = await read_chat_body(request)
    body = await parse_body(data, MESSAGES.parse_count)
    betas = _betas(request)
    return answer_with_count(
        request, MESSAGES, body, name=COUNT_TOKENS, body_bytes=len(data), betas=betas
    )


def _betas(request: Request) -> list[str]:
    """Return the values of the request's ``anthropic-beta`` headers."""
    headers = request.scope["headers"]
    return [value.decode("latin-1") for name, value in headers if name == b"anthropic-beta"]
