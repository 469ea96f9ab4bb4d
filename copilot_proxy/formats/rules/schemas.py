"""Adapts the schemas of tools and of structured output to what the model accepts."""

from copilot_proxy.formats.profiles import ModelProfile
from copilot_proxy.formats.rules.outgoing import OutgoingBody
from copilot_proxy.formats.types import Json


def fit_tools(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Give every tool an object schema, which Copilot requires."""
    for tool in outgoing.tools:
        current = tool.function.get(tool.schema_key)
        schema = object_schema(
            current if isinstance(current, dict) else None, properties=profile.schema_properties
        )
        if schema is not current:
            tool.function[tool.schema_key] = schema


def fit_output(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Turn an output schema into an instruction if the model does not support schemas."""
    outgoing.instruct_schema(notes)


def object_schema(schema: Json | None, *, properties: bool = True) -> Json:
    """Return `schema` as ``{"type": "object", "properties": {...}, ...}``.

    The properties are added only if `properties` is set. A schema that is already of this form is
    returned as the same object.
    """
    current = schema or {}
    if current.get("type") == "object" and ("properties" in current or not properties):
        return current
    return {"properties": {}, **current, "type": current.get("type") or "object"}
