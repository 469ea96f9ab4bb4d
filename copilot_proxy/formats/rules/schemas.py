"""Schemas of tools and answers, in the form that a model takes."""

from copilot_proxy.formats.profiles import ModelProfile
from copilot_proxy.formats.rules.outgoing import Json, OutgoingBody


def fit_tools(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Gives every tool a schema of an object, which Copilot insists on."""
    for tool in outgoing.tools:
        given = tool.function.get(tool.schema_key)
        schema = object_schema(
            given if isinstance(given, dict) else None, properties=profile.schema_properties
        )
        if schema is not given:
            tool.function[tool.schema_key] = schema


def fit_answer(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Asks in words for an answer by a schema where the model cannot be given one."""
    if not profile.structured_output:
        outgoing.instruct_schema(notes)


def object_schema(schema: Json | None, *, properties: bool = True) -> Json:
    """A schema of an object, with its `properties` if they are needed; one that is already is given
    back itself."""
    given = schema or {}
    if given.get("type") == "object" and ("properties" in given or not properties):
        return given
    return {"properties": {}, **given, "type": given.get("type") or "object"}
