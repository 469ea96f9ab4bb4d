"""Moves the targets of a tool schema's references to ``$defs``, for models that require that.

Kimi refuses an entire request because of a single reference such as ``#/definitions/A`` or
``#/properties/a``. Older schema generators produce the former; others produce the latter for a
schema that occurs twice.
"""

import re
from typing import Any, Final
from urllib.parse import unquote

from copilot_proxy.formats.model_profiles import ModelProfile
from copilot_proxy.formats.rules.outgoing import OutgoingBody
from copilot_proxy.formats.rules.schemas import VALUE_KEYWORDS, rewrite_tool_schemas
from copilot_proxy.formats.types import Json

_ACCEPTED: Final = "#/$defs/"
_MAX_DEPTH: Final = 100
"""Schemas nested more deeply than this are left unchanged."""
_MAPS: Final = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
"""The keywords whose values map names to schemas."""


def inline_references(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Rewrite references that the model would refuse in tool schemas."""
    reason = "the model accepts only references to $defs"
    rewrite_tool_schemas(outgoing, with_definitions, reason, notes)


def with_definitions(schema: Json) -> Json:
    """Return `schema` with all references pointing to ``$defs``.

    If they already do, the same object is returned. References to other documents, or to nothing,
    are left unchanged.
    """
    definitions = _Definitions(schema)
    rest = {name: value for name, value in schema.items() if name != "definitions"}
    rewritten = definitions.rewrite(rest)
    moved = definitions.rewrite_moved()
    return {**rewritten, "$defs": {**rewritten.get("$defs", {}), **moved}} if moved else schema


class _Definitions:
    """The targets of the references in a schema, under their new names in ``$defs``."""

    def __init__(self, schema: Json) -> None:
        self._schema = schema
        given = schema.get("$defs")
        self._taken = set(given) if isinstance(given, dict) else set()
        self._names: dict[str, str] = {}
        self._targets: list[tuple[str, Json]] = []

    def rewrite(self, value: Any, depth: int = 0) -> Any:
        """Return a copy of a schema, or of a list of schemas, with rewritten references."""
        if depth > _MAX_DEPTH:
            return value
        if isinstance(value, list):
            return [self.rewrite(item, depth + 1) for item in value]
        if not isinstance(value, dict):
            return value
        copy: Json = {}
        for name, inner in value.items():
            if name == "$ref" and isinstance(inner, str):
                copy[name] = self._reference(inner)
            elif name in _MAPS and isinstance(inner, dict):
                copy[name] = {key: self.rewrite(one, depth + 1) for key, one in inner.items()}
            else:
                copy[name] = inner if name in VALUE_KEYWORDS else self.rewrite(inner, depth + 1)
        return copy

    def rewrite_moved(self) -> Json:
        """Return the targets of all references, direct or indirect, under their new names."""
        moved: Json = {}
        while self._targets:
            name, target = self._targets.pop(0)
            moved[name] = self.rewrite(target)
        return moved

    def _reference(self, reference: str) -> str:
        if reference.startswith(_ACCEPTED):
            return reference
        if reference not in self._names:
            target = _target(self._schema, reference)
            if target is None:
                return reference
            self._names[reference] = self._free_name(reference)
            self._targets.append((self._names[reference], target))
        return _ACCEPTED + self._names[reference]

    def _free_name(self, reference: str) -> str:
        """Return an unused name based on the last part of the reference."""
        last = unquote(reference).strip("#").rsplit("/", 1)[-1]
        base = re.sub(r"[^\w.-]", "_", last) or "root"
        name, number = base, 2
        while name in self._taken:
            name, number = f"{base}_{number}", number + 1
        self._taken.add(name)
        return name


def _target(schema: Json, reference: str) -> Json | None:
    """Return the part of `schema` that a reference points to, or None if it does not exist."""
    if reference == "#":
        return {k: v for k, v in schema.items() if k not in ("$defs", "definitions")}
    if not reference.startswith("#/"):
        return None
    value: Any = schema
    for step in unquote(reference[2:]).split("/"):
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(value, list) and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        else:
            value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else None
