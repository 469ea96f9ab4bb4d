"""Values that satisfy a JSON schema, taken from the words of the prompt where they fit."""

from __future__ import annotations

import re
from typing import Any

from .prompt_words import Words

Schema = dict[str, Any]

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
DEEPEST = 12
"""Nesting after which a schema that refers to itself is ended as soon as it allows."""


def fill(schema: Any, words: Words) -> Any:
    """A value that is valid against `schema`; required properties only, in the schema's order."""
    root = schema if isinstance(schema, dict) else {}
    return _value(root, root, words, "", 0)


def _value(schema: Any, root: Schema, words: Words, name: str, depth: int) -> Any:
    if not isinstance(schema, dict):
        return words.phrase(name)
    schema = _resolved(schema, root)
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    if enum := schema.get("enum"):
        return next((one for one in enum if words.mentions(one)), enum[0])
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        rest = {key: value for key, value in schema.items() if key not in ("anyOf", "oneOf")}
        chosen = _chosen(choices, root, depth)
        return _value({**rest, **chosen}, root, words, name, depth + 1)
    kind = _kind(schema, depth)
    if kind == "object":
        return _object(schema, root, words, depth)
    if kind == "array":
        return _array(schema, root, words, name, depth)
    if kind in ("integer", "number"):
        return _number(schema, words, whole=kind == "integer")
    if kind == "boolean":
        return True
    if kind == "null":
        return None
    return _string(schema, words, name)


def _resolved(schema: Schema, root: Schema) -> Schema:
    """The schema with ``$ref`` followed and ``allOf`` joined."""
    for _ in range(DEEPEST):
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
    """The first alternative that is something; deep down, null if that is allowed."""
    found = [_resolved(one, root) for one in choices if isinstance(one, dict)]
    nulls = [one for one in found if one.get("type") == "null"]
    others = [one for one in found if one.get("type") != "null"]
    if nulls and (depth >= DEEPEST or not others):
        return nulls[0]
    return others[0] if others else {}


def _kind(schema: Schema, depth: int) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        if depth >= DEEPEST and "null" in kind:
            return "null"
        kind = next((one for one in kind if one != "null"), "null")
    if isinstance(kind, str):
        return kind
    if "properties" in schema or "required" in schema:
        return "object"
    if "items" in schema:
        return "array"
    return "number" if "minimum" in schema else "string"


def _object(schema: Schema, root: Schema, words: Words, depth: int) -> dict[str, Any]:
    properties = schema.get("properties", {})
    names = [name for name in properties if name in schema.get("required", [])]
    names += [name for name in schema.get("required", []) if name not in properties]
    return {name: _value(properties.get(name, {}), root, words, name, depth + 1) for name in names}


def _array(schema: Schema, root: Schema, words: Words, name: str, depth: int) -> list[Any]:
    least = schema.get("minItems", 0)
    wanted = least if depth >= DEEPEST or not schema.get("maxItems", 1) else max(1, least)
    prefix = schema.get("prefixItems") or []
    items = schema.get("items", {})
    if items is False:
        wanted = min(wanted, len(prefix))
    values = [
        _value(prefix[i] if i < len(prefix) else items, root, words, name, depth + 1)
        for i in range(wanted)
    ]
    if schema.get("uniqueItems"):
        return _distinct(values, items)
    return values


def _distinct(values: list[Any], items: Any) -> list[Any]:
    """Make equal values differ, for ``uniqueItems``."""
    enum = items.get("enum") if isinstance(items, dict) else None
    if enum:
        return list(enum[: len(values)])
    found: list[Any] = []
    for number, value in enumerate(values):
        if value in found:
            value = f"{value} {number}" if isinstance(value, str) else value + number
        found.append(value)
    return found


def _number(schema: Schema, words: Words, *, whole: bool) -> float | int:
    value = words.number()
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


def _string(schema: Schema, words: Words, name: str) -> str:
    if schema.get("format") in FORMATS:
        return FORMATS[schema["format"]]
    text = words.phrase(name)
    pattern = schema.get("pattern")
    if isinstance(pattern, str) and not re.search(pattern, text):
        text = next((word for word in words.all if re.search(pattern, word)), text)
    least, most = schema.get("minLength", 0), schema.get("maxLength")
    text = text.ljust(least, ".")
    return text if most is None else text[:most]
