"""Adapts the schemas of tools and of structured output to what the model accepts."""

from collections.abc import Callable
from typing import Any, Final

from copilot_proxy.formats.model_profiles import ModelProfile
from copilot_proxy.formats.rules.outgoing import OutgoingBody
from copilot_proxy.formats.types import Json

SCHEMA_MAPS: Final = ("properties", "patternProperties", "$defs", "definitions")
"""The keywords whose values map client-defined names to schemas."""

VALUE_KEYWORDS: Final = ("enum", "const", "default", "examples", "required")
"""The keywords whose values contain no schemas."""


def correct_tool_schemas(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Give every tool an object schema, which Copilot requires."""
    for tool in outgoing.tools:
        current = tool.function.get(tool.schema_key)
        schema = object_schema(
            current if isinstance(current, dict) else None, properties=profile.schema_properties
        )
        if schema is not current:
            tool.function[tool.schema_key] = schema


def rewrite_tool_schemas(
    outgoing: OutgoingBody, rewrite: Callable[[Json], Json], reason: str, notes: list[str]
) -> None:
    """Apply `rewrite` to each tool schema, and add a note for each schema that changes."""
    for tool in outgoing.tools:
        current = tool.function.get(tool.schema_key)
        if not isinstance(current, dict):
            continue
        schema = rewrite(current)
        if schema is not current:
            tool.function[tool.schema_key] = schema
            name = str(tool.function.get("name"))[:80]
            notes.append(f"changed the schema of tool {name}: {reason}")


def drop_output_schema(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Convert an output schema to an instruction if the model does not support schemas."""
    if outgoing.instruct_schema():
        name = outgoing.fields.output_format
        notes.append(
            f"changed {name} to an instruction: the model does not support structured output"
        )


def close_output(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Disallow additional properties in the objects of the output schema, as the model requires."""
    if (schema := outgoing.output_schema) is not None:
        outgoing.set_output_schema(close_schema(schema))


def object_schema(schema: Json | None, *, properties: bool = True) -> Json:
    """Return `schema` as ``{"type": "object", "properties": {...}, ...}``.

    If the schema already has this form, the same object is returned. If `properties` is false,
    ``"properties"`` may be missing from the result.
    """
    current = schema or {}
    if current.get("type") == "object" and ("properties" in current or not properties):
        return current
    kind = current.get("type") or "object"
    # Arguments are never null, so a list of "object" and "null" means an object.
    kind = "object" if isinstance(kind, list) and "object" in kind else kind
    return {"properties": {}, **current, "type": kind}


def close_schema(schema: Any) -> Any:
    """Return a copy of a JSON schema in which no object allows additional properties.

    Any value that is valid against the copy is also valid against the original.
    """
    if isinstance(schema, list):
        return [close_schema(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    copy: Json = {}
    for name, value in schema.items():
        if name in SCHEMA_MAPS and isinstance(value, dict):
            copy[name] = {key: close_schema(inner) for key, inner in value.items()}
        else:
            copy[name] = value if name in VALUE_KEYWORDS else close_schema(value)
    if schema.get("type") == "object" and isinstance(schema.get("properties"), dict):
        copy["additionalProperties"] = False
    return copy
