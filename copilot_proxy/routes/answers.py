"""Responses of the APIs: a stream of events, or one JSON body, such as a list of embeddings."""

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Final

import msgspec

from copilot_proxy.asgi import ASGIApp, Receive, Scope, Send
from copilot_proxy.formats.chat_completions.api import CHAT_COMPLETIONS
from copilot_proxy.formats.client_api import ClientApi, CountingApi
from copilot_proxy.formats.large_json import LARGE, encode_json
from copilot_proxy.formats.types import ClientRequest, ClientResponse, Json
from copilot_proxy.large_work import run_in_turn
from copilot_proxy.relay.costs import cost_headers
from copilot_proxy.relay.notes import notes_header
from copilot_proxy.relay.reply import Reply, ReplySource
from copilot_proxy.routes.services import (
    Request,
    Services,
    get_caller,
    get_services,
    start_record,
)
from copilot_proxy.routes.streaming import EventStream, MakeAnswer, OpenReply, WholeAnswer

_encode: Final = msgspec.json.Encoder().encode


def answer(
    request: Request,
    client: ClientApi,
    body: ClientRequest,
    *,
    body_bytes: int,
    conversation_bytes: int = 0,
    betas: Collection[str] = (),
    notes: Iterable[str] = (),
    extend: Callable[[Reply], ReplySource] | None = None,
) -> ASGIApp:
    """Return the response to `request`, whose validated JSON `body` is in the format of `client`.

    `body_bytes` is the size of the body as received, and `conversation_bytes` includes everything
    that the body refers to. `betas` are the values of the request's ``anthropic-beta`` headers, and
    `notes` describe changes already made to the body. `extend` may add something to the reply
    before it is sent.
    """
    services = get_services(request)
    caller = get_caller(request)
    record = start_record(request, client.name, body, body_bytes, notes)
    record.conversation_bytes = conversation_bytes

    def open_reply() -> AbstractAsyncContextManager[Reply]:
        return services.relay.answer(client, body, record, caller=caller, betas=betas)

    return respond(
        services,
        client,
        body,
        open_reply if extend is None else partial(_extended, open_reply, extend),
        # The answer to a Responses request repeats large parts of it.
        is_large=body_bytes >= LARGE,
        request_id=record.request_id,
    )


@asynccontextmanager
async def _extended(
    open_reply: Callable[[], AbstractAsyncContextManager[Reply]],
    extend: Callable[[Reply], ReplySource],
) -> AsyncIterator[ReplySource]:
    async with open_reply() as reply:
        yield extend(reply)


class JsonResponse:
    """An ASGI application that responds with a complete JSON body."""

    def __init__(self, body: object) -> None:
        self._body = _encode(body)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(self._body)).encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": self._body, "more_body": False})


def answer_with_embeddings(
    request: Request,
    body: ClientRequest,
    *,
    body_bytes: int,
    client: ClientApi = CHAT_COMPLETIONS,
    notes: Iterable[str] = (),
    convert: Callable[[ClientResponse], ClientResponse] = lambda response: response,
) -> ASGIApp:
    """Return the response to `request`, whose validated `body` is in OpenAI's format.

    Errors are in the format of `client`; `convert` converts the response to that format. For the
    other parameters, see `answer`.
    """
    services, caller = get_services(request), get_caller(request)
    record = start_record(request, "embeddings", body, body_bytes, notes)

    async def make_answer() -> tuple[bytes, Mapping[str, str]]:
        vectors = await services.relay.embeddings(body, record, caller=caller, client=client)
        headers = {"x-copilot-proxy-route": "embeddings", **cost_headers(record)}
        return _encode(convert(vectors)), headers | notes_header(record.notes)

    return WholeAnswer(make_answer)


def answer_with_count(
    request: Request,
    client: CountingApi,
    body: ClientRequest,
    *,
    name: str,
    body_bytes: int,
    conversation_bytes: int = 0,
    betas: Collection[str] = (),
    convert: Callable[[Json], Json] = lambda count: count,
) -> ASGIApp:
    """Return the response with the number of input tokens of the request `body`.

    `name` is the name of the path, for the log. `convert` converts ``{"input_tokens": N}`` to the
    client's format. For the other parameters, see `answer`.
    """
    services, caller = get_services(request), get_caller(request)
    record = start_record(request, name, body, body_bytes)
    record.conversation_bytes = conversation_bytes

    async def make_answer() -> tuple[bytes, Mapping[str, str]]:
        count, headers = await services.relay.count_tokens(
            client, body, record, caller=caller, betas=betas
        )
        return _encode(convert(count)), headers

    return WholeAnswer(make_answer)


def respond(
    services: Services,
    client: ClientApi,
    body: ClientRequest,
    open_reply: OpenReply,
    *,
    is_large: bool,
    request_id: str,
) -> ASGIApp:
    """Return the response with the reply from `open_reply`, streamed if `body` requests a stream.

    If `is_large` is True, encoding the response may take a long time.
    """
    if body.get("stream") is not True:
        return WholeAnswer(_answer_maker(open_reply, is_large=is_large))

    stream_format = client.stream_format(body)
    return EventStream(
        open_reply,
        stream_format,
        lambda error: client.fail(body, error, request_id),
        grace=services.settings.header_grace,
        keep_alive=services.settings.keep_alive,
        is_large=is_large,
    )


def _answer_maker(open_reply: OpenReply, *, is_large: bool) -> MakeAnswer:
    async def make_answer() -> tuple[bytes, Mapping[str, str]]:
        async with open_reply() as reply:
            body = await reply.whole()
            encoded = await run_in_turn(encode_json, body, LARGE) if is_large else _encode(body)
            return encoded, reply.headers

    return make_answer
