"""``POST /v1/chat/completions``: OpenAI's chat completions, streamed and not."""

from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Final

import msgspec
from litestar import post
from litestar.openapi.datastructures import ResponseSpec
from litestar.types import ASGIApp

from copilot_proxy.auth.copilot_auth import TokenSource
from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.formats import sse
from copilot_proxy.formats.chat_completions.errors import error_body
from copilot_proxy.formats.chat_completions.request import parse_request
from copilot_proxy.formats.chat_completions.schema import (
    ChatCompletion,
    ChatCompletionRequest,
    ErrorBody,
    Json,
)
from copilot_proxy.relay import Record, Relay
from copilot_proxy.routes.bodies import read_body
from copilot_proxy.routes.openapi import documented
from copilot_proxy.routes.services import AnyRequest, caller, request_id_of, services_of
from copilot_proxy.routes.streaming import EventStream, Frames, Whole, WholeAnswer

_encode = msgspec.json.Encoder().encode
_DONE: Final = sse.encode(sse.DONE)


@post(
    "/v1/chat/completions",
    status_code=200,
    operation_class=documented(ChatCompletionRequest),
    responses={
        200: ResponseSpec(
            ChatCompletion,
            description="The answer. With `stream` it comes as server-sent events, each a "
            "ChatCompletionChunk, and ends with `data: [DONE]`.",
        ),
        400: ResponseSpec(ErrorBody, description="The request cannot be answered as it is."),
        401: ResponseSpec(ErrorBody, description="No key, or the server is not signed in."),
        404: ResponseSpec(ErrorBody, description="The account has no such model."),
        429: ResponseSpec(ErrorBody, description="A limit of GitHub's, or the quota is used up."),
        502: ResponseSpec(ErrorBody, description="Copilot cannot be reached, or failed."),
    },
    summary="Answer a conversation",
)
async def chat_completions(request: AnyRequest) -> ASGIApp:
    """Any chat model of the account, with tools and images; see docs/api.md."""
    services = services_of(request)
    settings = services.settings
    body = await read_body(request.receive, request.headers, settings.max_body_bytes)
    asked = parse_request(body)
    request_id = request_id_of(request)
    auth = caller(request)
    record = Record(request_id, "chat_completions")
    if asked.get("stream") is True:
        return EventStream(
            _frames(services.relay, asked, record, auth),
            lambda error: _failed(error, request_id),
            request_id=request_id,
            grace=settings.header_grace,
            keep_alive=settings.keep_alive,
        )
    return WholeAnswer(_whole(services.relay, asked, record, auth), request_id=request_id)


def _frames(relay: Relay, asked: Json, record: Record, auth: TokenSource | None) -> Frames:
    async def frames(
        take_headers: Callable[[Mapping[str, str]], None],
    ) -> AsyncGenerator[bytes, None]:
        async with relay.chat_completions(asked, record, auth=auth) as reply:
            take_headers(reply.headers)
            async for chunks in reply.chunks():
                yield b"".join(map(_frame, chunks))
            yield _DONE

    return frames


def _frame(chunk: Json) -> bytes:
    return b"data: %b\n\n" % _encode(chunk)


def _failed(error: CopilotProxyError, request_id: str) -> bytes:
    """A failure in mid-stream: the SDKs raise on an event with an `error`."""
    return _frame(error_body(error, request_id)) + _DONE


def _whole(relay: Relay, asked: Json, record: Record, auth: TokenSource | None) -> Whole:
    async def whole() -> tuple[bytes, Mapping[str, str]]:
        async with relay.chat_completions(asked, record, auth=auth) as reply:
            completion = await reply.completion()
            return _encode(completion), reply.headers

    return whole
