"""Rewrites tool schemas as single object schemas, for models that refuse some top-level keywords.

Claude and GPT refuse an entire request because of a single schema with ``anyOf``, ``oneOf`` or
``allOf`` at its top level, and GPT also because of ``enum``, ``const`` or ``not``. Deeper inside a
schema, they accept all of these.
"""

from collections.abc import Iterator
from itertools import count
from typing import Any, Final

from copilot_proxy.formats.model_profiles import ModelProfile
from copilot_proxy.formats.rules.outgoing import OutgoingBody
from copilot_proxy.formats.rules.schemas import rewrite_tool_schemas
from copilot_proxy.formats.types import Json

_WORDS: Final = ("anyOf", "oneOf", "allOf")
_MAX_BRANCHES: Final = 200
"""Maximum number of branches to follow, including references, which can be circular."""


def merge_combinations(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Merge ``anyOf``, ``oneOf`` and ``allOf`` at the top level of tool schemas."""
    reason = "the model does not accept anyOf, oneOf or allOf at the top level"
    rewrite_tool_schemas(outgoing, without_combinations, reason, notes)


def simplify_values(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Convert ``enum`` and ``const`` at the top level of tool schemas, and remove ``not``."""
    reason = "the model does not accept enum, const or not at the top level"
    rewrite_tool_schemas(outgoing, without_values, reason, notes)


def without_values(schema: Json) -> Json:
    """Return an object schema without ``enum``, ``const`` and ``not`` at its top level.

    Each property may have any value that it has in one of the objects under ``enum`` or ``const``.
    The tool itself must reject combinations that are not allowed. Returns the same object if there
    is nothing to change.
    """
    if not any(word in schema for word in ("enum", "const", "not")):
        return schema
    kept = {name: value for name, value in schema.items() if name not in ("enum", "const", "not")}
    values = schema.get("enum", [schema["const"]] if "const" in schema else None)
    allowed = [one for one in values if isinstance(one, dict)] if isinstance(values, list) else []
    if not allowed:
        return kept
    branches = [
        {"properties": {name: {"const": one} for name, one in value.items()}, "required": [*value]}
        for value in allowed
    ]
    return merged({**kept, "anyOf": branches}, "anyOf")


def without_combinations(schema: Json) -> Json:
    """Return an object schema without ``anyOf``, ``oneOf`` and ``allOf`` at its top level.

    Returns the same object if there are none.
    """
    for word in _WORDS:
        if isinstance(schema.get(word), list):
            schema = merged(schema, word)
    return schema


def merged(schema: Json, word: str) -> Json:
    """Return an object schema with the properties of all branches under `word`.

    A property whose schemas differ between branches may match any of them. A property is required
    if all branches require it or, with ``allOf``, if any of them does.
    """
    followed = count()
    parts = schema[word]
    branches = [_branch(one, schema, followed) for one in parts if isinstance(one, dict)]
    properties: dict[str, Any] = {}
    for branch in branches:
        found = branch.get("properties")
        for name, value in found.items() if isinstance(found, dict) else ():
            properties[name] = _either(properties[name], value) if name in properties else value
    own = schema.get("properties")
    required = [_required(branch) for branch in branches]
    if word == "allOf":
        names = [name for one in required for name in one]
    else:
        names = [n for n in (required[0] if required else ()) if all(n in one for one in required)]
    names = list(dict.fromkeys([*_required(schema), *names]))
    kept = {name: value for name, value in schema.items() if name not in (word, "discriminator")}
    properties.update(own if isinstance(own, dict) else {})
    out = {**kept, "type": "object", "properties": properties}
    return {**out, "required": names} if names else out


def _branch(branch: Json, root: Json, followed: Iterator[int]) -> Json:
    """Return the object schema of a branch, which may be a reference."""
    if next(followed) >= _MAX_BRANCHES:
        return {name: value for name, value in branch.items() if name not in _WORDS}
    target: Any = root
    reference = branch.get("$ref")
    if isinstance(reference, str) and reference.startswith("#/"):
        for step in reference[2:].split("/"):
            target = target.get(step) if isinstance(target, dict) else None
        if isinstance(target, dict):
            return _branch(target, root, followed)
    for word in _WORDS:
        inner = branch.get(word)
        if isinstance(inner, list):
            parts = [_branch(one, root, followed) for one in inner if isinstance(one, dict)]
            branch = merged({**branch, word: parts}, word)
    return branch


def _either(first: Any, second: Any) -> Any:
    """Return a schema for values that either schema allows; a schema can also be a boolean."""
    if first == second:
        return first
    is_choice = isinstance(first, dict) and list(first) == ["anyOf"]
    branches = first["anyOf"] if is_choice and isinstance(first["anyOf"], list) else [first]
    return first if second in branches else {"anyOf": [*branches, second]}


def _required(schema: Json) -> list[str]:
    names = schema.get("required")
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []
