"""``POST /v1/messages`` and ``/v1/messages/count_tokens``: Anthropic's Messages API."""

from typing import Final

import msgspec

from copilot_proxy.asgi import ASGIApp
from copilot_proxy.formats.messages.api import MESSAGES
from copilot_proxy.large_work import run_if_large
from copilot_proxy.relay.costs import COUNT_TOKENS
from copilot_proxy.routes.answers import answer
from copilot_proxy.routes.services import (
    Request,
    get_caller,
    get_services,
    read_chat_body,
    start_record,
)
from copilot_proxy.routes.streaming import WholeAnswer

COUNT_PATH: Final = MESSAGES.client_path + "/count_tokens"


async def messages(request: Request) -> ASGIApp:
    """Works with every chat model of the account; see docs/api.md."""
    data, notes = await read_chat_body(request)
    body = await run_if_large(len(data), MESSAGES.parse, data)
    betas = _betas(request)
    return answer(request, MESSAGES, body, body_bytes=len(data), betas=betas, notes=notes)


async def count_tokens(request: Request) -> ASGIApp:
    """Free of charge."""
    data, _ = await read_chat_body(request)
    body = await run_if_large(len(data), MESSAGES.parse_count, data)
    betas = _betas(request)
    relay, caller = get_services(request).relay, get_caller(request)
    record = start_record(request, COUNT_TOKENS, body, len(data))

    async def make_answer() -> tuple[bytes, dict[str, str]]:
        count, headers = await relay.count_tokens(
            MESSAGES, body, record, caller=caller, betas=betas
        )
        return msgspec.json.encode(count), headers

    return WholeAnswer(make_answer)


def _betas(request: Request) -> list[str]:
    """Return the values of the request's ``anthropic-beta`` headers."""
    headers = request.scope["headers"]
    return [value.decode("latin-1") for name, value in headers if name == b"anthropic-beta"]
