"""Moves unsupported constraints of an output schema to its descriptions, for Claude.

Schemas generated from classes often have constraints, such as the maximum length of a string.
Anthropic's SDKs move such constraints in the same way.
"""

import json
from typing import Any, Final

from copilot_proxy.formats.model_profiles import ModelProfile
from copilot_proxy.formats.rules.outgoing import OutgoingBody
from copilot_proxy.formats.rules.schemas import SCHEMA_MAPS, VALUE_KEYWORDS
from copilot_proxy.formats.types import Json

_CONSTRAINTS: Final = frozenset(
    {
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
        *("minLength", "maxLength", "maxItems", "uniqueItems", "minProperties", "maxProperties"),
    }
)


def move_constraints(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Move the constraints of the output schema to the descriptions of the constrained values."""
    schema = outgoing.output_schema
    if schema is None:
        return
    moved: dict[str, None] = {}
    changed = _without_constraints(schema, moved)
    if moved:
        outgoing.set_output_schema(changed)
        changed_format = f"changed {outgoing.fields.output_format}"
        if names := ", ".join(name for name in moved if name != "oneOf"):
            notes.append(
                f"{changed_format}: moved {names}, which the model does not accept, to the "
                "descriptions"
            )
        if "oneOf" in moved:
            notes.append(
                f"{changed_format}: replaced oneOf, which the model does not accept, with anyOf"
            )


def _without_constraints(schema: Any, moved: dict[str, None]) -> Any:
    """Return a copy of `schema` with unsupported constraints moved to descriptions.

    Adds the names of the constraints to `moved`, and ``oneOf`` if ``anyOf`` replaces it.
    """
    if isinstance(schema, list):
        return [_without_constraints(item, moved) for item in schema]
    if not isinstance(schema, dict):
        return schema
    copy: Json = {}
    constraints: list[str] = []
    for name, value in schema.items():
        if name in SCHEMA_MAPS and isinstance(value, dict):
            copy[name] = {key: _without_constraints(one, moved) for key, one in value.items()}
        elif name in VALUE_KEYWORDS:
            copy[name] = value
        elif name in _CONSTRAINTS or (name == "minItems" and value not in (0, 1)):
            constraints.append(f"{name}: {json.dumps(value)}")
            moved[name] = None
        elif name == "oneOf" and "anyOf" not in schema:
            copy["anyOf"] = _without_constraints(value, moved)
            moved[name] = None
        else:
            copy[name] = _without_constraints(value, moved)
    if constraints:
        written = copy.get("description")
        texts = [written] if isinstance(written, str) and written else []
        copy["description"] = "\n".join([*texts, f"({', '.join(constraints)})"])
    return copy
