"""The OpenAPI document, with the schemas of request bodies that the routes decode themselves.

Routes decode their own bodies in order to preserve unknown fields, so Litestar has no schemas for
them. This module adds them.
"""

from dataclasses import dataclass, fields, replace
from typing import Any, Final, cast

import msgspec
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.plugins import JsonRenderPlugin, YamlRenderPlugin
from litestar.openapi.spec import (
    OpenAPI,
    OpenAPIMediaType,
    Operation,
    Reference,
    RequestBody,
    Schema,
)

from copilot_proxy import __version__
from copilot_proxy.formats.chat_completions.response_schema import ChatCompletionChunk
from copilot_proxy.formats.chat_completions.schema import ChatCompletionRequest
from copilot_proxy.formats.completions.schema import CompletionsRequest
from copilot_proxy.formats.embeddings import EmbeddingsRequest
from copilot_proxy.formats.gemini.schema import (
    GeminiBatchEmbedContentsRequest,
    GeminiCountTokensRequest,
    GeminiEmbedContentRequest,
    GeminiEmbedContentResponse,
    GeminiTokenCount,
    GenerateContentRequest,
)
from copilot_proxy.formats.messages.schema import CountTokensRequest, MessagesRequest
from copilot_proxy.formats.ollama import schema as ollama
from copilot_proxy.formats.responses.schema import (
    CompactRequest,
    InputTokensRequest,
    ResponsesRequest,
)
from copilot_proxy.routes.openapi_page import PlainPage

PATH: Final = "/schema"
_REF: Final = "#/components/schemas/{name}"
_REQUEST_SCHEMAS: Final = (
    ChatCompletionRequest,
    ChatCompletionChunk,
    CompletionsRequest,
    ResponsesRequest,
    InputTokensRequest,
    CompactRequest,
    MessagesRequest,
    CountTokensRequest,
    EmbeddingsRequest,
    GenerateContentRequest,
    GeminiCountTokensRequest,
    GeminiTokenCount,
    GeminiEmbedContentRequest,
    GeminiEmbedContentResponse,
    GeminiBatchEmbedContentsRequest,
    ollama.OllamaChatRequest,
    ollama.OllamaGenerateRequest,
    ollama.OllamaShowRequest,
    ollama.OllamaEmbedRequest,
    ollama.OllamaEmbeddingsRequest,
)


def documented(
    request: type[msgspec.Struct] | None = None,
    *,
    events: str | None = None,
    stream_type: str = "text/event-stream",
) -> type[Operation]:
    """Return an operation class whose request body has the type `request`, one of
    `_REQUEST_SCHEMAS`.

    For routes that can stream, `events` describes the events of the stream, and `stream_type` is
    its media type. The route's responses must come from `answers_with`.
    """

    @dataclass
    class Documented(Operation):
        def __post_init__(self) -> None:
            # Litestar has built these from `answers_with`, so none of them is a reference.
            responses = self.responses = cast("dict[str, Any]", dict(self.responses or {}))
            responses["default"] = replace(responses["400"], description="Any other failure.")
            if request is not None:
                schema = Reference(ref=_REF.format(name=request.__name__))
                self.request_body = RequestBody(
                    required=True, content={"application/json": OpenAPIMediaType(schema=schema)}
                )
            if events is not None:
                stream = OpenAPIMediaType(schema=Schema(description=events))
                content = {**(responses["200"].content or {}), stream_type: stream}
                responses["200"] = replace(responses["200"], content=content)

    return Documented


def answers_with(
    answer: type[msgspec.Struct], error: type[msgspec.Struct], description: str
) -> dict[int, ResponseSpec]:
    """Return the responses of a route by status: `answer` for 200, and `error` for failures."""
    errors = {
        400: "The request is not valid, or the model does not support it.",
        401: "The API key is missing or wrong, or the server is not signed in to GitHub.",
        402: "The quota is used up.",
        403: "The account, the API key or the web page is not allowed to do this.",
        404: "The account has no such model, or the server remembers no such response.",
        413: "The body is too large.",
        415: "The content encoding is not supported.",
        429: "A GitHub rate limit was reached, or the quota is used up.",
        502: "Copilot could not be reached, or failed.",
        503: "Copilot or this server is too busy.",
        504: "Copilot did not answer in time.",
    }
    responses = {200: (answer, description)} | {
        status: (error, reason) for status, reason in errors.items()
    }
    # Litestar would fill generated examples with random values.
    return {
        status: ResponseSpec(schema, description=text, generate_examples=False)
        for status, (schema, text) in responses.items()
    }


class _Document(OpenAPI):
    """The document, including the schemas that Litestar does not add itself."""

    def to_schema(self) -> dict[str, Any]:
        document = super().to_schema()
        _, components = msgspec.json.schema_components(_REQUEST_SCHEMAS, ref_template=_REF)
        known = document.setdefault("components", {}).setdefault("schemas", {})
        for name, schema in components.items():
            known.setdefault(name, schema)
        return document


class _Config(OpenAPIConfig):
    def to_openapi_schema(self) -> OpenAPI:
        document = super().to_openapi_schema()
        return _Document(**{f.name: getattr(document, f.name) for f in fields(document)})


def openapi_config() -> OpenAPIConfig:
    """Return the configuration that serves the document at ``/schema/openapi.json`` and
    ``/schema/openapi.yaml``, and as a web page at ``/schema``."""
    return _Config(
        title="copilot-proxy",
        version=__version__,
        description="Use your own GitHub Copilot subscription through the OpenAI, Anthropic, "
        "Gemini and Ollama APIs, from a server on your own machine.",
        path=PATH,
        render_plugins=[PlainPage(path="/"), JsonRenderPlugin(), YamlRenderPlugin()],
    )
