"""Renders the OpenAPI document as a web page without scripts.

The usual pages load scripts from other hosts. Such scripts could use this server and spend the
user's quota, and without a network, the pages stay empty.
"""

from html import escape
from typing import Any, Final

from litestar import Request
from litestar.openapi.plugins import OpenAPIRenderPlugin

_STYLE: Final = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 56rem; margin: 2rem auto; padding: 0 1rem }
h2 { margin-top: 2.5rem; border-bottom: 1px solid #8886 }
h3 code { font-size: 1rem }
table { border-collapse: collapse; width: 100% }
td { border-top: 1px solid #8883; padding: .2rem .8rem .2rem 0; vertical-align: top }
td:first-child { width: 16rem }
.dim { opacity: .65 }
@media (prefers-color-scheme: dark) { body { background: #161616; color: #ddd } a { color: #8bf } }
"""


class PlainPage(OpenAPIRenderPlugin):
    """Renders plain HTML with an inline style sheet."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """Return the page as UTF-8."""
        info = openapi_schema["info"]
        operations = "".join(
            _operation(method, path, operation)
            for path, methods in openapi_schema["paths"].items()
            for method, operation in methods.items()
            if isinstance(operation, dict)
        )
        schemas = "".join(
            _schema(name, schema)
            for name, schema in sorted(openapi_schema["components"]["schemas"].items())
        )
        return (
            f"<!doctype html><html lang=en><meta charset=utf-8>"
            f'<meta name=viewport content="width=device-width">'
            f"<title>{escape(info['title'])}</title><style>{_STYLE}</style>"
            f"<h1>{escape(info['title'])} {escape(info['version'])}</h1>"
            f"<p>{escape(info['description'])}</p>"
            '<p>Also available as <a href="/schema/openapi.json">JSON</a> and '
            '<a href="/schema/openapi.yaml">YAML</a>.</p>'
            f"<h2>Endpoints</h2>{operations}<h2>Schemas</h2>{schemas}</html>"
        ).encode()


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    rows = [("Body", _type(_schema_of(operation["requestBody"])))] if _has_body(operation) else []
    for status, response in operation.get("responses", {}).items():
        text = escape(response.get("description", ""))
        rows.append(
            (escape(status), f"{_type(_schema_of(response))} <span class=dim>{text}</span>")
        )
    return (
        f"<h3><code>{escape(method.upper())} {escape(path)}</code></h3>"
        f"<p>{escape(operation.get('summary') or '')}. "
        f"{escape(operation.get('description') or '')}</p>{_table(rows)}"
    )


def _has_body(operation: dict[str, Any]) -> bool:
    return "requestBody" in operation


def _schema_of(part: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of the first media type of a request body or response."""
    for media in part.get("content", {}).values():
        schema: dict[str, Any] = media.get("schema", {})
        return schema
    return {}


def _schema(name: str, schema: dict[str, Any]) -> str:
    required = schema.get("required", ())
    rows = [
        (
            f"<code>{escape(field)}</code>" + ("" if field in required else " <i>optional</i>"),
            _type(value),
        )
        for field, value in schema.get("properties", {}).items()
    ]
    text = escape(schema.get("description") or "").replace("``", "")
    return f'<h3 id="{escape(name)}"><code>{escape(name)}</code></h3><p>{text}</p>{_table(rows)}'


def _type(schema: dict[str, Any]) -> str:
    """Return a short description of `schema` as HTML, with links to the schemas it refers to."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return " or ".join(map(_type, schema[key]))
    if "enum" in schema or "const" in schema:
        values = schema.get("enum") or [schema["const"]]
        return " or ".join(f"<code>{escape(_value(value))}</code>" for value in values)
    if schema.get("type") == "array":
        inner = _type(schema.get("items", {}))
        # Without the parentheses, all but the first would read like alternatives to the list.
        return f"list of ({inner})" if " or " in inner else f"list of {inner}"
    kind = schema.get("type", "anything" if not schema else "")
    return escape(" or ".join(kind) if isinstance(kind, list) else kind)


def _value(value: object) -> str:
    return "null" if value is None else str(value)


def _table(rows: list[tuple[str, str]]) -> str:
    cells = "".join(f"<tr><td>{left}<td>{right}" for left, right in rows)
    return f"<table>{cells}</table>" if rows else ""
