"""Validation of JSON schemas: GitHub refuses tools and formats with an invalid schema."""

from __future__ import annotations

from typing import Any

from .types import Schema

NUMBERS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
MIN_SIZES = ("minItems", "minLength")
MAX_SIZES = ("maxItems", "maxLength")
LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
MAPS = ("properties", "$defs", "definitions")
MAX_MINIMUM = 100_000
"""The largest minimum size that a schema may require; the simulator has to generate an answer
of that size."""


def is_schema(value: Any) -> bool:
    """Return whether the keywords of a schema and its subschemas have values of valid types."""
    if isinstance(value, bool):
        return True
    return isinstance(value, dict) and _plain(value) and _nested(value)


def is_gemini_schema(value: Any) -> bool:
    """Return whether Gemini accepts a schema: ``anyOf`` must stand alone, and a type must be a
    single name.

    This does not check the values of keywords; `is_schema` does.
    """
    if not isinstance(value, dict):
        return True
    if "anyOf" in value and ("type" in value or "properties" in value):
        return False
    if isinstance(value.get("type"), list):
        return False
    inner = [value.get("items")]
    for name in LISTS:
        inner += value[name] if isinstance(value.get(name), list) else []
    for name in MAPS:
        inner += value[name].values() if isinstance(value.get(name), dict) else []
    return all(is_gemini_schema(one) for one in inner)


def _plain(schema: Schema) -> bool:
    """Return whether the keywords that do not contain other schemas are valid."""
    numbers = [schema[name] for name in NUMBERS if name in schema]
    sizes = [schema[name] for name in (*MIN_SIZES, *MAX_SIZES) if name in schema]
    kind = schema.get("type", "object")
    names = schema.get("required", [])
    return (
        all(isinstance(one, int | float) and not isinstance(one, bool) for one in numbers)
        and schema.get("multipleOf", 1) > 0
        and all(type(one) is int and one >= 0 for one in sizes)
        and all(schema.get(name, 0) <= MAX_MINIMUM for name in MIN_SIZES)
        and isinstance(kind, str | list)
        and all(isinstance(one, str) for one in kind)
        and isinstance(names, list)
        and all(isinstance(one, str) for one in names)
        and (isinstance(schema.get("enum", []), list) and schema.get("enum", [0]) != [])
        and all(isinstance(schema.get(name, ""), str) for name in ("pattern", "format", "$ref"))
    )


def _nested(schema: Schema) -> bool:
    """Return whether the keywords that contain other schemas are valid."""
    inner: list[Any] = []
    for name in LISTS:
        if not isinstance(schema.get(name, []), list):
            return False
        inner += schema.get(name, [])
    for name in MAPS:
        if not isinstance(schema.get(name, {}), dict):
            return False
        inner += schema.get(name, {}).values()
    if "items" in schema:
        inner.append(schema["items"])
    return all(is_schema(one) for one in inner)
