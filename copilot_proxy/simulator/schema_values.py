"""Values that satisfy a JSON schema, taken from the prompt where possible."""

from __future__ import annotations

import re
from typing import Any

from .prompt import Prompt
from .types import Json, Schema

FORMATS = {
    "date-time": "2026-11-22T10:00:00Z",
    "date": "2026-11-22",
    "time": "10:00:00Z",
    "duration": "PT1H",
    "email": "mona@example.com",
    "hostname": "example.com",
    "ipv4": "203.0.113.7",
    "ipv6": "2001:db8::7",
    "uri": "https://example.com/",
    "url": "https://example.com/",
    "uuid": "3f2b8a52-6f0e-4f43-9a59-5a2f2f1f0c11",
}
MAX_DEPTH = 12
"""Depth at which recursion into a self-referential schema stops, if the schema allows that."""


def fill(schema: Any, prompt: Prompt) -> Any:
    """Return a value that is valid against `schema`, with only the required properties."""
    root = schema if isinstance(schema, dict) else {}
    return _value(root, root, prompt, "", 0)


def _value(schema: Any, root: Schema, prompt: Prompt, name: str, depth: int) -> Any:
    if not isinstance(schema, dict):
        return prompt.phrase(name)
    schema = _resolved(schema, root)
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    if enum := schema.get("enum"):
        return next((one for one in enum if prompt.mentions(one)), enum[0])
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        common = {key: value for key, value in schema.items() if key not in ("anyOf", "oneOf")}
        chosen = _chosen(choices, root, depth)
        return _value({**common, **chosen}, root, prompt, name, depth + 1)
    kind = _kind(schema, depth)
    if kind == "object":
        return _object(schema, root, prompt, depth)
    if kind == "array":
        return _array(schema, root, prompt, name, depth)
    if kind in ("integer", "number"):
        return _number(schema, prompt, whole=kind == "integer")
    if kind == "boolean":
        return True
    if kind == "null":
        return None
    return _string(schema, prompt, name)


def _resolved(schema: Schema, root: Schema) -> Schema:
    """Return the schema with ``$ref`` resolved and ``allOf`` merged."""
    for _ in range(MAX_DEPTH):
        reference = schema.get("$ref")
        if not isinstance(reference, str) or not reference.startswith("#"):
            break
        target: Any = root
        for part in reference[1:].split("/")[1:]:
            target = target.get(part, {}) if isinstance(target, dict) else {}
        schema = {**target, **{key: value for key, value in schema.items() if key != "$ref"}}
    if parts := schema.get("allOf"):
        joined: Schema = {key: value for key, value in schema.items() if key != "allOf"}
        for part in parts:
            found = _resolved(part, root) if isinstance(part, dict) else {}
            properties = {**joined.get("properties", {}), **found.get("properties", {})}
            required = [*joined.get("required", []), *found.get("required", [])]
            joined = {**joined, **found}
            if properties:
                joined |= {"properties": properties, "required": required}
        return joined
    return schema


def _chosen(choices: list[Any], root: Schema, depth: int) -> Schema:
    """Return the first alternative that is not null; at the depth limit, prefer null."""
    found = [_resolved(one, root) for one in choices if isinstance(one, dict)]
    nulls = [one for one in found if one.get("type") == "null"]
    others = [one for one in found if one.get("type") != "null"]
    if nulls and (depth >= MAX_DEPTH or not others):
        return nulls[0]
    return others[0] if others else {}


def _kind(schema: Schema, depth: int) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        if depth >= MAX_DEPTH and "null" in kind:
            return "null"
        kind = next((one for one in kind if one != "null"), "null")
    if isinstance(kind, str):
        return kind
    if "properties" in schema or "required" in schema:
        return "object"
    if "items" in schema:
        return "array"
    return "number" if "minimum" in schema else "string"


def _object(schema: Schema, root: Schema, prompt: Prompt, depth: int) -> Json:
    properties = schema.get("properties", {})
    names = [name for name in properties if name in schema.get("required", [])]
    names += [name for name in schema.get("required", []) if name not in properties]
    return {name: _value(properties.get(name, {}), root, prompt, name, depth + 1) for name in names}


def _array(schema: Schema, root: Schema, prompt: Prompt, name: str, depth: int) -> list[Any]:
    low = schema.get("minItems", 0)
    size = low if depth >= MAX_DEPTH or not schema.get("maxItems", 1) else max(1, low)
    prefix = schema.get("prefixItems") or []
    items = schema.get("items", {})
    if items is False:
        size = min(size, len(prefix))
    values = [
        _value(prefix[i] if i < len(prefix) else items, root, prompt, name, depth + 1)
        for i in range(size)
    ]
    if schema.get("uniqueItems"):
        return _distinct(values, items)
    return values


def _distinct(values: list[Any], items: Any) -> list[Any]:
    """Return the values with duplicates made distinct, for ``uniqueItems``."""
    enum = items.get("enum") if isinstance(items, dict) else None
    if enum:
        return list(enum[: len(values)])
    found: list[Any] = []
    for number, value in enumerate(values):
        if value in found:
            value = f"{value} {number}" if isinstance(value, str) else value + number
        found.append(value)
    return found


def _number(schema: Schema, prompt: Prompt, *, whole: bool) -> float | int:
    value = prompt.number()
    low, high = schema.get("minimum"), schema.get("maximum")
    if "exclusiveMinimum" in schema:
        low = schema["exclusiveMinimum"] + (1 if whole else 0.5)
    if "exclusiveMaximum" in schema:
        high = schema["exclusiveMaximum"] - (1 if whole else 0.5)
    if low is not None:
        value = max(value, low)
    if high is not None:
        value = min(value, high)
    if step := schema.get("multipleOf"):
        value = round(value / step) * step
        if low is not None and value < low:
            value += step
        if high is not None and value > high:
            value -= step
    return int(value) if whole or float(value).is_integer() else value


def _string(schema: Schema, prompt: Prompt, name: str) -> str:
    if schema.get("format") in FORMATS:
        return FORMATS[schema["format"]]
    text = prompt.phrase(name)
    pattern = schema.get("pattern")
    if isinstance(pattern, str) and not re.search(pattern, text):
        text = next((word for word in prompt.all if re.search(pattern, word)), text)
    minimum, maximum = schema.get("minLength", 0), schema.get("maxLength")
    text = text.ljust(minimum, ".")
    return text if maximum is None else text[:maximum]
