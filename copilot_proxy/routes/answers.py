"""Answers a request of one of the chat APIs: as events while they come, or whole."""

from collections.abc import Collection, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

import msgspec
from litestar.types import ASGIApp

from copilot_proxy.formats.api import ClientApi
from copilot_proxy.relay.reply import Reply
from copilot_proxy.routes.services import AnyRequest, caller_of, record_of, services_of
from copilot_proxy.routes.streaming import Ask, EventStream, Whole, WholeAnswer

_encode: Final = msgspec.json.Encoder().encode

Json = dict[str, Any]


def answer(
    request: AnyRequest,
    client: ClientApi,
    asked: Json,
    *,
    body_bytes: int,
    betas: Collection[str] = (),
    notes: Iterable[str] = (),
) -> ASGIApp:
    """The answer to the checked request `asked` of the API `client`.

    `body_bytes` is how large it came, `betas` are the values of its ``anthropic-beta`` headers, and
    `notes` say what was changed in it before.
    """
    services = services_of(request)
    caller, record = caller_of(request), record_of(request, client.name, body_bytes, notes)

    def ask() -> AbstractAsyncContextManager[Reply]:
        return services.relay.answer(client, asked, record, caller=caller, betas=betas)

    if asked.get("stream") is not True:
        return WholeAnswer(_whole(ask))

    return EventStream(
        ask,
        client.frame,
        client.stream_end,
        lambda error: client.fail(asked, error, record.request_id),
        grace=services.settings.header_grace,
        keep_alive=services.settings.keep_alive,
    )


def _whole(ask: Ask) -> Whole:
    async def whole() -> tuple[bytes, Mapping[str, str]]:
        async with ask() as reply:
            body = await reply.whole()
            return _encode(body), reply.headers

    return whole
