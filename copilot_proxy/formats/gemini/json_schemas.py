"""Translates Google's schemas to JSON schemas.

Google's schemas are those of OpenAPI 3.0, with types in uppercase, ``nullable``, and numbers that
may be written as strings. `parametersJsonSchema` is a JSON schema, but clients also use uppercase
types there.
"""

from collections.abc import Mapping
from typing import Any, Final

from copilot_proxy.formats.gemini.field_names import camel
from copilot_proxy.formats.types import Json

_TYPES: Final[Mapping[str, str]] = {
    name.upper(): name
    for name in ("string", "number", "integer", "boolean", "array", "object", "null")
}
_RENAMED: Final[Mapping[str, str]] = {"defs": "$defs", "ref": "$ref", "example": "examples"}
_MAPS: Final = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
"""The keywords whose values map names chosen by the client to schemas."""
_SCHEMAS: Final = (
    *("items", "additionalProperties", "not", "contains", "if", "then", "else"),
    *("anyOf", "oneOf", "allOf", "prefixItems"),
)
"""The keywords whose values are a schema or a list of schemas."""
_COUNTS: Final = (
    *("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"),
)
"""The keywords whose numbers protocol buffers write as strings."""
_DROPPED: Final = ("propertyOrdering",)
_MAX_DEPTH: Final = 100


def to_json_schema(schema: Json) -> Json:
    """Convert one of Google's schemas to a JSON schema."""
    translated = _schema(schema, 0)
    return translated if isinstance(translated, dict) else {}


def with_lower_types(schema: Any, depth: int = 0) -> Any:
    """Return a JSON schema with its types in lowercase.

    If all types are already in lowercase, the same object is returned.
    """
    if isinstance(schema, list):
        items = [with_lower_types(one, depth + 1) for one in schema]
        return items if any(a is not b for a, b in zip(items, schema, strict=True)) else schema
    if not isinstance(schema, dict) or depth > _MAX_DEPTH:
        return schema
    changed: Json = {}
    for name, value in schema.items():
        new = value
        if name == "type":
            new = _type(value)
        elif name in _MAPS and isinstance(value, dict):
            inner = {key: with_lower_types(one, depth + 1) for key, one in value.items()}
            new = inner if any(inner[key] is not value[key] for key in value) else value
        elif name in _SCHEMAS:
            new = with_lower_types(value, depth + 1)
        if new is not value:
            changed[name] = new
    return {**schema, **changed} if changed else schema


def requires_everything(schema: Any, depth: int = 0) -> bool:
    """Return whether the schema has no optional properties, as strict output requires."""
    if isinstance(schema, list):
        return all(requires_everything(one, depth + 1) for one in schema)
    if not isinstance(schema, dict):
        return True
    if depth > _MAX_DEPTH:
        return False
    properties = schema.get("properties")
    if isinstance(properties, dict):
        required = schema.get("required")
        if not isinstance(required, list) or not properties.keys() <= set(map(str, required)):
            return False
    elif schema.get("type") == "object":
        return False  # an object that may have any properties
    nested = [one for name in _MAPS for one in _values(schema.get(name))]
    nested += [schema[name] for name in _SCHEMAS if name in schema]
    return all(requires_everything(one, depth + 1) for one in nested)


def _values(value: Any) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else []


def _schema(schema: Any, depth: int) -> Any:
    if isinstance(schema, list):
        return [_schema(one, depth + 1) for one in schema]
    if not isinstance(schema, dict) or depth > _MAX_DEPTH:
        return schema
    copy: Json = {}
    for written, value in schema.items():
        name = camel(written)
        if name in _DROPPED or name == "nullable":
            continue
        if name == "example":
            value = [value]
        name = _RENAMED.get(name, name)
        if name == "type":
            value = _type(value)
            if value == "TYPE_UNSPECIFIED":
                continue
        elif name in _MAPS and isinstance(value, dict):
            value = {key: _schema(one, depth + 1) for key, one in value.items()}
        elif name in _SCHEMAS:
            value = _schema(value, depth + 1)
        elif name in _COUNTS and isinstance(value, str) and value.isdecimal():
            value = int(value)
        copy[name] = value
    return _nullable(copy) if schema.get("nullable") is True else copy


def _nullable(schema: Json) -> Json:
    """Return a schema that also allows null."""
    if isinstance(kind := schema.get("type"), str):
        schema = {**schema, "type": [kind, "null"]}
        if isinstance(values := schema.get("enum"), list) and None not in values:
            schema["enum"] = [*values, None]
    elif isinstance(branches := schema.get("anyOf"), list):
        schema = {**schema, "anyOf": [*branches, {"type": "null"}]}
    return schema


def _type(value: Any) -> Any:
    if isinstance(value, list):
        lower = [_type(one) for one in value]
        return lower if lower != value else value
    return _TYPES.get(value, value) if isinstance(value, str) else value
