"""``/api/chat`` and the other paths of Ollama's API, if the setting `ollama` turns them on."""

import time
from collections.abc import Callable
from typing import Any, Final

import msgspec
from litestar import delete, get, post, route
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from copilot_proxy.asgi import ASGIApp
from copilot_proxy.errors import RequestError
from copilot_proxy.formats.client_paths import OLLAMA_BLOBS
from copilot_proxy.formats.ollama import schema
from copilot_proxy.formats.ollama.api import OLLAMA
from copilot_proxy.formats.ollama.embeddings import (
    embed_answer,
    embeddings_answer,
    parse_embed,
    parse_embeddings,
)
from copilot_proxy.formats.ollama.models import API_VERSION
from copilot_proxy.formats.ollama.request import parse_show
from copilot_proxy.formats.types import ClientRequest, ClientResponse
from copilot_proxy.routes.answers import JsonResponse, answer, answer_with_embeddings
from copilot_proxy.routes.litestar_request import LitestarRequest
from copilot_proxy.routes.openapi import answers_with, documented
from copilot_proxy.routes.services import Services, get_caller, get_services, parse_body, read_body
from copilot_proxy.routes.streaming import WholeAnswer

_NDJSON: Final = "application/x-ndjson"
_LINES: Final = "Each line is a JSON object; the last one has `done: true` and the token counts."


def is_off(connection: ASGIConnection[Any, Any, Any, Any]) -> bool:
    """Return whether the request is for a path of Ollama's API while that API is off."""
    services: Services = connection.scope["state"]["services"]
    return not services.settings.ollama and OLLAMA.has_path(connection.url.path)


def off_error(target: str) -> RequestError:
    """Return the error for a request to `target` (method and path) while the API is off."""
    return RequestError(
        f"Unknown URL ({target}).",
        status=404,
        code="unknown_url",
        hint="For Ollama's API, start the server with --ollama or COPILOT_PROXY_OLLAMA=true.",
    )


def _require_on(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    if is_off(connection):
        raise off_error(f"{connection.scope.get('method')} {connection.url.path[:200]}")


def _described(answer: type[msgspec.Struct], description: str) -> dict[int, Any]:
    return answers_with(answer, schema.OllamaErrorBody, description)


@post(
    "/api/chat",
    status_code=200,
    guards=[_require_on],
    operation_class=documented(schema.OllamaChatRequest, events=_LINES, stream_type=_NDJSON),
    responses=_described(schema.OllamaChatAnswer, "The answer; streamed unless `stream` is false."),
    summary="Create a message (Ollama)",
)
async def ollama_chat(request: LitestarRequest) -> ASGIApp:
    """Works with every chat model of the account; see docs/ollama.md."""
    return await _answer(request, OLLAMA.parse)


@post(
    "/api/generate",
    status_code=200,
    guards=[_require_on],
    operation_class=documented(schema.OllamaGenerateRequest, events=_LINES, stream_type=_NDJSON),
    responses=_described(
        schema.OllamaGenerateAnswer, "The answer; streamed unless `stream` is false."
    ),
    summary="Answer a prompt (Ollama)",
)
async def ollama_generate(request: LitestarRequest) -> ASGIApp:
    """Works with every chat model of the account; see docs/ollama.md."""
    return await _answer(request, OLLAMA.parse_generate)


async def _answer(request: LitestarRequest, parse: Callable[[bytes], ClientRequest]) -> ASGIApp:
    data = await read_body(request)
    body = await parse_body(data, parse)
    if body["messages"]:
        return answer(request, OLLAMA, body, body_bytes=len(data))
    models, caller = get_services(request).relay.models, get_caller(request)

    async def make_answer() -> tuple[bytes, dict[str, str]]:
        await models.for_request("chat", body["model"], caller)
        return OLLAMA.loaded(body), {}

    content_type = _NDJSON if body["stream"] else "application/json"
    return WholeAnswer(make_answer, content_type.encode())


@post(
    "/api/embed",
    status_code=200,
    guards=[_require_on],
    operation_class=documented(schema.OllamaEmbedRequest),
    responses=_described(schema.OllamaEmbedAnswer, "The vectors, in the order of the inputs."),
    summary="Create embeddings (Ollama)",
)
async def ollama_embed(request: LitestarRequest) -> ASGIApp:
    """Accepts a string or a list of strings."""
    started = time.perf_counter_ns()
    return await _embed(
        request,
        parse_embed,
        lambda response: embed_answer(response, time.perf_counter_ns() - started),
    )


@post(
    "/api/embeddings",
    status_code=200,
    guards=[_require_on],
    operation_class=documented(schema.OllamaEmbeddingsRequest),
    responses=_described(schema.OllamaEmbeddingsAnswer, "The vector."),
    summary="Create one embedding (Ollama)",
)
async def ollama_embeddings(request: LitestarRequest) -> ASGIApp:
    """The older form of ``/api/embed``."""
    return await _embed(request, parse_embeddings, embeddings_answer)


async def _embed(
    request: LitestarRequest,
    parse: Callable[[bytes], ClientRequest],
    to_answer: Callable[[ClientResponse], ClientResponse],
) -> ASGIApp:
    data = await read_body(request)
    body = await parse_body(data, parse)
    relay, caller = get_services(request).relay, get_caller(request)

    async def load() -> tuple[bytes, dict[str, str]]:
        await relay.models.for_request("embeddings", body["model"], caller)
        nothing = {"model": body["model"], "data": [], "usage": {"prompt_tokens": 0}}
        return msgspec.json.encode(to_answer(nothing)), {}

    if not body["input"]:
        return WholeAnswer(load)
    return answer_with_embeddings(request, body, body_bytes=len(data), convert=to_answer)


@get(
    "/api/tags",
    guards=[_require_on],
    operation_class=documented(),
    responses=_described(schema.OllamaModelList, "Chat and embeddings models."),
    summary="List the models (Ollama)",
)
async def ollama_tags(request: LitestarRequest) -> ASGIApp:
    """Leaves out models that need enabling, because Ollama's list cannot express that."""
    models, caller = get_services(request).relay.models, get_caller(request)
    catalogue, aliases = await models.catalogue(caller), await models.aliases(caller)
    return JsonResponse(OLLAMA.model_list(catalogue.usable, aliases, None))


@post(
    "/api/show",
    status_code=200,
    guards=[_require_on],
    operation_class=documented(schema.OllamaShowRequest),
    responses=_described(schema.OllamaModelInfo, "The model."),
    summary="Show a model (Ollama)",
)
async def ollama_show(request: LitestarRequest) -> ASGIApp:
    """Finds a model by its id or an alias, with or without the tag ``latest``."""
    name = parse_show(await read_body(request))
    model = await get_services(request).relay.models.model(name, get_caller(request))
    return JsonResponse(OLLAMA.model_object(model, name=name))


@get("/api/ps", guards=[_require_on], include_in_schema=False)
async def ollama_ps() -> ASGIApp:
    """Return an empty list, because no model is in this machine's memory."""
    return JsonResponse({"models": []})


@get("/api/version", guards=[_require_on], include_in_schema=False)
async def ollama_version() -> ASGIApp:
    """Return the version of the emulated Ollama; for some features, clients require a minimum
    version."""
    return JsonResponse({"version": API_VERSION})


@post(
    ["/api/pull", "/api/push", "/api/create", "/api/copy"],
    guards=[_require_on],
    include_in_schema=False,
)
async def ollama_change(request: LitestarRequest) -> None:
    """Refuse to change the account's models."""
    raise _not_here(request)


@delete("/api/delete", guards=[_require_on], include_in_schema=False)
async def ollama_delete(request: LitestarRequest) -> None:
    """Refuse to change the account's models."""
    raise _not_here(request)


@route(
    OLLAMA_BLOBS + "{digest:str}",
    http_method=["GET", "POST"],
    status_code=200,
    guards=[_require_on],
    include_in_schema=False,
)
async def ollama_blob(request: LitestarRequest) -> None:
    """Refuse to store files."""
    raise _not_here(request)


OLLAMA_ROUTES: Final = (
    ollama_chat,
    ollama_generate,
    ollama_embed,
    ollama_embeddings,
    ollama_tags,
    ollama_show,
    ollama_ps,
    ollama_version,
    ollama_change,
    ollama_delete,
    ollama_blob,
)


def _not_here(request: LitestarRequest) -> RequestError:
    return RequestError(
        f"{request.url.path[:200]} is not supported: the models are hosted by GitHub, not stored "
        "on this machine.",
        status=501,
        code="not_implemented",
        hint="GET /api/tags lists the models, which can be used right away.",
        headers={"x-should-retry": "false"},
    )
