"""Answers a request of one of the chat APIs: as events while they come, or whole."""

from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

import msgspec
from litestar.types import ASGIApp

from copilot_proxy.formats import sse
from copilot_proxy.relay.hub import ChatApi
from copilot_proxy.relay.plans import fail_early
from copilot_proxy.relay.reply import Reply
from copilot_proxy.routes.services import AnyRequest, caller, key_of, record_of, services_of
from copilot_proxy.routes.streaming import Ask, EventStream, Whole, WholeAnswer

_encode = msgspec.json.Encoder().encode

Json = dict[str, Any]
Frame = Callable[[Json], bytes]


def unnamed_frame(event: Json) -> bytes:
    """An event of chat completions: data alone."""
    return b"data: %b\n\n" % _encode(event)


def named_frame(event: Json) -> bytes:
    """An event of Responses and Messages: its type is its name as well."""
    return b"event: %b\ndata: %b\n\n" % (str(event["type"]).encode(), _encode(event))


_FRAMES: Final[Mapping[ChatApi, tuple[Frame, bytes]]] = {
    "chat_completions": (unnamed_frame, sse.encode(sse.DONE)),
    "responses": (named_frame, b""),
    "messages": (named_frame, b""),
}
"""How an event is written, and what ends a stream."""


def answer(
    request: AnyRequest,
    client: ChatApi,
    asked: Json,
    *,
    body_bytes: int,
    beta_values: Collection[str] = (),
    notes: Iterable[str] = (),
) -> ASGIApp:
    """The answer to the checked request `asked` of the API `client`.

    `body_bytes` is how large it came, and `notes` tell what was changed in it before.
    """
    services = services_of(request)
    auth = caller(request)
    key, record = key_of(request), record_of(request, client, body_bytes, notes)

    def ask() -> AbstractAsyncContextManager[Reply]:
        return services.relay.answer(
            client, asked, record, auth=auth, key=key, beta_values=beta_values
        )

    if asked.get("stream") is not True:
        return WholeAnswer(_whole(ask))

    frame, end = _FRAMES[client]
    return EventStream(
        ask,
        lambda events: b"".join(map(frame, events)),
        end,
        lambda error: fail_early(client, asked, error, record.request_id),
        grace=services.settings.header_grace,
        keep_alive=services.settings.keep_alive,
    )


def _whole(ask: Ask) -> Whole:
    async def whole() -> tuple[bytes, Mapping[str, str]]:
        async with ask() as reply:
            body = await reply.whole()
            return _encode(body), reply.headers

    return whole
