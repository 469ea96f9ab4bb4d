"""Explains refusals for which Copilot gives no details, based on the refused request.

For example, if Gemini does not accept the schema of a tool, it just answers "Bad Request".
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from copilot_proxy.errors import UpstreamRefusal, join_sentences
from copilot_proxy.formats.request_size import describe_size
from copilot_proxy.formats.types import Json, UpstreamBody

_BARE: Final = ("", "bad request", "400 bad request", "invalid request", "invalid argument")
"""Meaningless messages, in lowercase and without a period."""
_NO_MESSAGE: Final = "Copilot answered with status 400 and no message"
_SUSPECTS: Final = (
    "oneOf",
    "allOf",
    "not",
    "if",
    "const",
    "patternProperties",
    "propertyNames",
    "prefixItems",
    "dependentRequired",
    "dependentSchemas",
    "contains",
    "unevaluatedProperties",
)
"""Keywords of JSON Schema that not every model accepts."""
_TYPES: Final = ("string", "number", "integer", "boolean", "object", "array", "null")
_MAPS: Final = ("properties", "$defs", "definitions")
_MAX_DEPTH: Final = 50
_MAX_NAMES: Final = 10


class _Suspect(NamedTuple):
    tool: str
    path: str
    """The part of the schema, such as ``parameters.properties.a``."""
    what: str


def diagnose(
    error: UpstreamRefusal, body: UpstreamBody, tool_names: Mapping[str, str] | None = None
) -> None:
    """Set the message and hint of `error` if Copilot refused `body` without giving a reason, and
    the hint if `body` is too large.

    `tool_names` maps the names of renamed tools in `body` to the client's names.
    """
    if error.status == 413:
        error.hint = join_sentences(error.hint or "", describe_size(body))
        return
    text = error.message.strip().rstrip(".")
    if error.upstream_status != 400 or (text.lower() not in _BARE and text != _NO_MESSAGE):
        return
    names = tool_names or {}
    tools = [(names.get(name, name), schema) for name, schema in _tools(body)]
    error.message = "Copilot refused the request without giving a reason."
    suspect = next((one for name, schema in tools for one in _suspects(name, schema)), None)
    if suspect is not None:
        error.message += (
            f" The likely cause is {suspect.what} in {suspect.path} of the tool {suspect.tool!r}."
        )
        error.hint = "Simplify this part of the tool's schema, or turn the tool off."
        error.param = "tools"
    elif tools:
        some = ", ".join(name for name, _ in tools[:_MAX_NAMES])
        more = f" and {len(tools) - _MAX_NAMES} more" if len(tools) > _MAX_NAMES else ""
        error.hint = (
            "The cause is often the schema of a tool. Turn tools off one by one "
            f"to find it: {some}{more}. Or use another model."
        )
        error.param = "tools"
    else:
        fields = ", ".join(sorted(body))
        error.hint = f"Leave out optional fields, or use another model. Copilot received: {fields}."


def explain_unlisted(error: UpstreamRefusal, *, is_listed: bool) -> None:
    """Set the hint of `error` if Copilot does not know the model and the list of Copilot's models
    could not be read.

    Without the list, the client's name for the model is sent unchanged. `is_listed` is True if the
    model was found in the list.
    """
    if error.code == "model_not_found" and not is_listed:
        error.hint = (
            "Copilot's list of models cannot be read at the moment, so the name was sent "
            "unchanged. "
            "Use the exact id of a model, or try again later."
        )


def _tools(body: UpstreamBody) -> Iterator[tuple[str, Json]]:
    tools = body.get("tools")
    for tool in tools if isinstance(tools, list) else ():
        function = tool.get("function") or tool
        schema = function.get("parameters", function.get("input_schema"))
        yield str(function.get("name") or tool.get("type")), schema or {}


def _suspects(tool: str, schema: Any, path: str = "parameters") -> Iterator[_Suspect]:
    """Yield the parts of a schema that some models do not accept."""
    if not isinstance(schema, dict) or path.count(".") > _MAX_DEPTH:
        return
    for name in _SUSPECTS:
        if name in schema:
            yield _Suspect(tool, path, f"{name!r}")
    kind = schema.get("type")
    if kind is not None and kind not in _TYPES:
        yield _Suspect(tool, path, f"the type {kind!r}")
    if kind == "array" and "items" not in schema:
        yield _Suspect(tool, path, "an array without 'items'")
    values = schema.get("enum")
    if isinstance(values, list) and not all(isinstance(value, str) for value in values):
        yield _Suspect(tool, path, "an 'enum' of values that are not strings")
    for name in _MAPS:
        inner = schema.get(name)
        for key, value in inner.items() if isinstance(inner, dict) else ():
            yield from _suspects(tool, value, f"{path}.{name}.{key}")
    for name in ("items", "additionalProperties"):
        yield from _suspects(tool, schema.get(name), f"{path}.{name}")
    branches = schema.get("anyOf")
    for i, branch in enumerate(branches if isinstance(branches, list) else ()):
        yield from _suspects(tool, branch, f"{path}.anyOf[{i}]")
