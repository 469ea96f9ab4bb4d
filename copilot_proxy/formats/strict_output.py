"""Decides which output schemas OpenAI's models can be forced to follow (``strict``)."""

from typing import Any, Final

_KEYWORDS: Final = frozenset(
    {
        "$defs",
        "$ref",
        "additionalProperties",
        "anyOf",
        "const",
        "description",
        "enum",
        "items",
        "properties",
        "required",
        "title",
        "type",
    }
)
"""The keywords that are known to be accepted with ``strict``.

Source: OpenAI's guide to structured outputs,
https://platform.openai.com/docs/guides/structured-outputs
"""
_KINDS: Final = frozenset({"type", "anyOf", "$ref", "enum", "const"})
"""Every schema must have one of these keywords."""


def can_be_strict(schema: Any, *, top: bool = True) -> bool:
    """Return whether the model can be forced to follow the schema.

    All properties of all objects must be required.
    """
    if not isinstance(schema, dict) or not _KEYWORDS.issuperset(schema):
        return False
    if _KINDS.isdisjoint(schema) or (top and schema.get("type") != "object"):
        return False
    properties, definitions = schema.get("properties", {}), schema.get("$defs", {})
    choices, required = schema.get("anyOf", []), schema.get("required", [])
    if not (isinstance(properties, dict) and isinstance(definitions, dict)):
        return False
    if not (isinstance(choices, list) and isinstance(required, list)):
        return False
    if schema.get("type") == "object":
        is_closed = schema.get("additionalProperties", False) is False
        are_required = all(name in required for name in properties)
        if not (properties and is_closed and are_required):
            return False
    inner = [*properties.values(), *definitions.values(), *choices]
    inner += [schema["items"]] if "items" in schema else []
    return all(can_be_strict(one, top=False) for one in inner)
