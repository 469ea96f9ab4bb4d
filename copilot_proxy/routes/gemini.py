"""``/v1beta/models``: Google's Gemini API.

Google puts the method after the model: ``/v1beta/models/MODEL:generateContent``.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from litestar import get, post
from litestar.exceptions import MethodNotAllowedException, NotFoundException
from litestar.params import FromPath

from copilot_proxy.asgi import ASGIApp
from copilot_proxy.formats.client_paths import GEMINI_METHODS
from copilot_proxy.formats.gemini import schema
from copilot_proxy.formats.gemini.api import GEMINI
from copilot_proxy.formats.gemini.embeddings import (
    embedding,
    embedding_list,
    parse_batch,
    parse_embed,
)
from copilot_proxy.formats.gemini.request import parse_call, parse_count
from copilot_proxy.formats.types import ClientResponse, Json
from copilot_proxy.relay.costs import COUNT_TOKENS
from copilot_proxy.routes.answers import answer, answer_with_count, answer_with_embeddings
from copilot_proxy.routes.litestar_request import LitestarRequest
from copilot_proxy.routes.models import model_list, model_object
from copilot_proxy.routes.openapi import answers_with, documented
from copilot_proxy.routes.services import parse_body, read_body, read_chat_body


@get(
    GEMINI.client_path,
    operation_class=documented(),
    responses=answers_with(
        schema.GeminiModelList, schema.GoogleErrorBody, "Chat and embeddings models."
    ),
    summary="List the models (Gemini)",
)
async def list_gemini_models(request: LitestarRequest) -> ASGIApp:
    """Returns all models on a single page."""
    return await model_list(request)


@get(
    GEMINI.client_path + "/{model_id:path}",
    operation_class=documented(),
    responses=answers_with(schema.GeminiModel, schema.GoogleErrorBody, "The model."),
    summary="Show a model (Gemini)",
)
async def get_gemini_model(request: LitestarRequest, model_id: FromPath[str]) -> ASGIApp:
    """Finds a model by its id or an alias."""
    if str(model_id).rpartition(":")[2] in _HANDLERS:
        raise MethodNotAllowedException
    return await model_object(request, str(model_id).removeprefix("/"))


@post(
    GEMINI.client_path + "/{call:path}",
    status_code=200,
    operation_class=documented(
        schema.GenerateContentRequest,
        events="With `:streamGenerateContent?alt=sse`, each event is a GenerateContentResponse.",
    ),
    responses=answers_with(
        schema.GenerateContentResponse,
        schema.GoogleErrorBody,
        "The answer. With `:streamGenerateContent`, an array of answers, or server-sent events "
        "with `alt=sse`. `:countTokens` returns a GeminiTokenCount, `:embedContent` a "
        "GeminiEmbedContentResponse, and `:batchEmbedContents` an object with `embeddings`.",
    ),
    summary="Generate content, count tokens or embed contents (Gemini)",
)
async def call_gemini_model(request: LitestarRequest, call: FromPath[str]) -> ASGIApp:
    """The path ends with the model and the method, such as `gemini-pro:generateContent`. The
    body of `:countTokens` is a GeminiCountTokensRequest, that of `:embedContent` a
    GeminiEmbedContentRequest, and that of `:batchEmbedContents` a
    GeminiBatchEmbedContentsRequest."""
    model, _, method = str(call).removeprefix("/").rpartition(":")
    handle = _HANDLERS.get(method)
    if handle is None or not model:
        raise NotFoundException
    return await handle(request, model)


async def _generate(request: LitestarRequest, model: str) -> ASGIApp:
    data, notes = await read_chat_body(request)
    body = await parse_body(data, parse_call, model)
    return answer(request, GEMINI, body, body_bytes=len(data), notes=notes)


async def _stream(request: LitestarRequest, model: str) -> ASGIApp:
    data, notes = await read_chat_body(request)
    as_array = request.query_params.get("alt") != "sse"

    body = await parse_body(data, parse_call, model, stream=True, as_array=as_array)
    return answer(request, GEMINI, body, body_bytes=len(data), notes=notes)


async def _count_tokens(request: LitestarRequest, model: str) -> ASGIApp:
    data, _ = await read_chat_body(request)
    body = await parse_body(data, parse_count, model)
    return answer_with_count(
        request,
        GEMINI,
        body,
        name=COUNT_TOKENS,
        body_bytes=len(data),
        convert=lambda count: {"totalTokens": count["input_tokens"]},
    )


async def _embed(request: LitestarRequest, model: str) -> ASGIApp:
    return await _embeddings(request, model, parse_embed, embedding)


async def _embed_batch(request: LitestarRequest, model: str) -> ASGIApp:
    return await _embeddings(request, model, parse_batch, embedding_list)


async def _embeddings(
    request: LitestarRequest,
    model: str,
    parse: Callable[[bytes, str, list[str]], Json],
    convert: Callable[[Json], ClientResponse],
) -> ASGIApp:
    data = await read_body(request)
    notes: list[str] = []
    body = await parse_body(data, parse, model, notes)
    return answer_with_embeddings(
        request, body, body_bytes=len(data), client=GEMINI, notes=notes, convert=convert
    )


_HANDLERS: Final[Mapping[str, Callable[[LitestarRequest, str], Awaitable[ASGIApp]]]] = dict(
    zip(GEMINI_METHODS, (_generate, _stream, _count_tokens, _embed, _embed_batch), strict=True)
)
