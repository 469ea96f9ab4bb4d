"""The OpenAPI document: the shapes of routes that read their bodies by themselves.

A route decodes its body itself, so that unknown fields survive; Litestar is told the shape here.
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
from copilot_proxy.formats.chat_completions.schema import (
    ChatCompletionChunk,
    ChatCompletionRequest,
)
from copilot_proxy.formats.embeddings import EmbeddingsRequest
from copilot_proxy.formats.messages.schema import CountTokensRequest, MessagesRequest
from copilot_proxy.formats.responses.schema import ResponsesRequest
from copilot_proxy.routes.openapi_page import PlainPage

PATH: Final = "/schema"
_REF: Final = "#/components/schemas/{name}"
_SHAPES: Final = (
    ChatCompletionRequest,
    ChatCompletionChunk,
    ResponsesRequest,
    MessagesRequest,
    CountTokensRequest,
    EmbeddingsRequest,
)


def documented(
    request: type[msgspec.Struct] | None = None, *, events: str | None = None
) -> type[Operation]:
    """An operation whose body has the shape of `request`, one of those in `_SHAPES`.

    `events` says what its stream is made of, if it can be asked for one. Its responses are those of
    `answers_with`.
    """

    @dataclass
    class Documented(Operation):
        def __post_init__(self) -> None:
            # Litestar makes responses of what `answers_with` says, and no references.
            responses = self.responses = cast("dict[str, Any]", dict(self.responses or {}))
            responses["default"] = replace(responses["400"], description="Any other failure.")
            if request is not None:
                schema = Reference(ref=_REF.format(name=request.__name__))
                self.request_body = RequestBody(
                    required=True, content={"application/json": OpenAPIMediaType(schema=schema)}
                )
            if events is not None:
                stream = OpenAPIMediaType(schema=Schema(description=events))
                content = {**(responses["200"].content or {}), "text/event-stream": stream}
                responses["200"] = replace(responses["200"], content=content)

    return Documented


def answers_with(
    answer: type[msgspec.Struct], error: type[msgspec.Struct], description: str
) -> dict[int, ResponseSpec]:
    """What a route answers: `answer`, or `error` in one of the usual cases."""
    errors = {
        400: "The request cannot be answered as it is.",
        401: "No key, or the server is not signed in.",
        402: "The quota is used up.",
        403: "The account, or whoever asks, may not do this.",
        404: "The account has no such model.",
        413: "The body is too large.",
        415: "The body is packed in a way that is not known.",
        429: "A limit of GitHub's, or the quota is used up.",
        502: "Copilot cannot be reached, or failed.",
        503: "Copilot or this server cannot take more at present.",
        504: "Copilot did not answer in time.",
    }
    told = {200: (answer, description), **{code: (error, why) for code, why in errors.items()}}
    # The examples would be made up at random.
    return {
        code: ResponseSpec(shape, description=text, generate_examples=False)
        for code, (shape, text) in told.items()
    }


class _Document(OpenAPI):
    """The document, with the shapes that Litestar has not seen itself."""

    def to_schema(self) -> dict[str, Any]:
        document = super().to_schema()
        _, components = msgspec.json.schema_components(_SHAPES, ref_template=_REF)
        known = document.setdefault("components", {}).setdefault("schemas", {})
        for name, schema in components.items():
            known.setdefault(name, schema)
        return document


class _Config(OpenAPIConfig):
    def to_openapi_schema(self) -> OpenAPI:
        document = super().to_openapi_schema()
        return _Document(**{f.name: getattr(document, f.name) for f in fields(document)})


def openapi_config() -> OpenAPIConfig:
    """JSON at ``/schema/openapi.json``, YAML beside it, a page to read at ``/schema``."""
    return _Config(
        title="copilot-proxy",
        version=__version__,
        description="Your own GitHub Copilot subscription as a local server that speaks the "
        "OpenAI API.",
        path=PATH,
        render_plugins=[PlainPage(path="/"), JsonRenderPlugin(), YamlRenderPlugin()],
    )
