"""The OpenAPI document: the shapes of routes that read their bodies by themselves.

A route decodes its body itself, so that unknown fields survive; Litestar is told the shape here.
"""

from dataclasses import dataclass, fields
from typing import Any, Final

import msgspec
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, YamlRenderPlugin
from litestar.openapi.spec import OpenAPI, OpenAPIMediaType, Operation, Reference, RequestBody

from copilot_proxy import __version__
from copilot_proxy.formats.chat_completions.schema import (
    ChatCompletionChunk,
    ChatCompletionRequest,
)
from copilot_proxy.routes.openapi_page import PlainPage

PATH: Final = "/schema"
_REF: Final = "#/components/schemas/{name}"
_SHAPES: Final = (ChatCompletionRequest, ChatCompletionChunk)


def documented(request: type[msgspec.Struct]) -> type[Operation]:
    """An operation whose body has the shape of `request`, one of those in `_SHAPES`."""

    @dataclass
    class Documented(Operation):
        def __post_init__(self) -> None:
            schema = Reference(ref=_REF.format(name=request.__name__))
            self.request_body = RequestBody(
                required=True, content={"application/json": OpenAPIMediaType(schema=schema)}
            )

    return Documented


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
