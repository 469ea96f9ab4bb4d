"""Renames tool parameters whose names the model refuses; in responses, the names are restored.

MCP servers use the parameter names of a web API, such as ``$filter`` or ``filter[id]``. A single
such name makes Claude refuse every request of the session. Claude only checks the first level of a
schema.
"""

import re
from collections.abc import Collection
from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote

import msgspec

from copilot_proxy.formats.model_profiles import ModelProfile
from copilot_proxy.formats.property_names import KeyRenamer
from copilot_proxy.formats.rules.outgoing import OutgoingBody
from copilot_proxy.formats.rules.schemas import SCHEMA_MAPS, VALUE_KEYWORDS
from copilot_proxy.formats.rules.tool_ids import shortened
from copilot_proxy.formats.types import Json

_VALID: Final = re.compile(r"[a-zA-Z0-9_.-]{1,64}")
_INVALID: Final = re.compile(r"[^a-zA-Z0-9_.-]+")
_MAX_LENGTH: Final = 64
_MAX_DEPTH: Final = 100
"""Schemas nested more deeply than this are left unchanged."""
_TO_PROPERTY: Final = "#/properties/"
_SHOWN: Final = 3
"""The number of renamed parameters to list in the note; an MCP server may have dozens."""


def rename_properties(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Rename properties in tool schemas, and in earlier calls of those tools.

    The new names depend only on the schema, so that they are the same in later requests.
    """
    renamed: dict[str, dict[str, str]] = {}
    changes: list[str] = []
    for function, schema_key in outgoing.tools:
        schema = function.get(schema_key)
        properties = schema.get("properties") if isinstance(schema, dict) else None
        if not isinstance(schema, dict) or not isinstance(properties, dict):
            continue
        invalid = _invalid_names(tuple(properties))
        name = function.get("name")
        if invalid and isinstance(name, str):
            names = renamed[name] = _new_names(invalid, properties)
            function[schema_key] = _with_names(schema, names)
            own_name = outgoing.tool_names.get(name, name)
            outgoing.property_names[own_name] = {new: old for old, new in names.items()}
            changes += [f"{old[:80]} of {own_name[:80]} to {new}" for old, new in names.items()]
    if renamed:
        _rename_in_calls(outgoing, renamed)
        more = len(changes) - _SHOWN
        listed = changes[:_SHOWN] + ([f"and {more} more"] if more > 0 else [])
        notes.append(f"renamed tool parameters: {', '.join(listed)}")


@lru_cache(maxsize=1024)
def _invalid_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names that the model refuses; cached, since agents resend the same tools."""
    return tuple(name for name in names if not _VALID.fullmatch(name))


def _new_names(invalid: Collection[str], properties: Collection[str]) -> dict[str, str]:
    """Return a valid name for each of the `invalid` names among `properties`."""
    names: dict[str, str] = {}
    for old in invalid:
        new = _INVALID.sub("_", old).strip("_")
        if not new or len(new) > _MAX_LENGTH or new in properties or new in names.values():
            new = shortened(old, _INVALID, _MAX_LENGTH)
        names[old] = new
    return names


def _with_names(schema: Json, names: dict[str, str]) -> Json:
    # Few schemas have references, and looking for them in the JSON is much faster than walking the
    # schema.
    if _TO_PROPERTY.encode() in msgspec.json.encode(schema):
        schema = _with_references(schema, names, 0)
    properties = schema["properties"]
    renamed = {**schema, "properties": {names.get(n, n): one for n, one in properties.items()}}
    if isinstance(required := schema.get("required"), list):
        renamed["required"] = [names.get(n, n) if isinstance(n, str) else n for n in required]
    return renamed


def _with_references(value: Any, names: dict[str, str], depth: int) -> Any:
    """Return a copy of a schema, or of a list of schemas, whose references use the new names."""
    if depth > _MAX_DEPTH:
        return value
    if isinstance(value, list):
        return [_with_references(item, names, depth + 1) for item in value]
    if not isinstance(value, dict):
        return value
    copy: Json = {}
    for name, inner in value.items():
        if name == "$ref" and isinstance(inner, str):
            copy[name] = _reference(inner, names)
        elif name in SCHEMA_MAPS and isinstance(inner, dict):
            copy[name] = {k: _with_references(one, names, depth + 1) for k, one in inner.items()}
        elif name in VALUE_KEYWORDS:
            copy[name] = inner
        else:
            copy[name] = _with_references(inner, names, depth + 1)
    return copy


def _reference(reference: str, names: dict[str, str]) -> str:
    """Return a reference, with the new name if it passes through a renamed property."""
    if not reference.startswith(_TO_PROPERTY):
        return reference
    name, slash, rest = reference.removeprefix(_TO_PROPERTY).partition("/")
    new = names.get(unquote(name).replace("~1", "/").replace("~0", "~"))
    return reference if new is None else f"{_TO_PROPERTY}{new}{slash}{rest}"


def _rename_in_calls(outgoing: OutgoingBody, renamed: dict[str, dict[str, str]]) -> None:
    if outgoing.is_settled:
        _ = outgoing.turns  # decodes the conversation
    for call in outgoing.calls:
        function, key = outgoing.function(call), outgoing.input_key
        if not (names := renamed.get(str(function.get("name")))):
            continue
        arguments = function.get(key)
        if isinstance(arguments, dict):
            function[key] = {names.get(name, name): one for name, one in arguments.items()}
        elif isinstance(arguments, str):
            renamer = KeyRenamer(names)
            function[key] = renamer.feed(arguments) + renamer.close()
