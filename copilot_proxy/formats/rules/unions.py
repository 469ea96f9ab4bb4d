"""Rewrites tool schemas for models that accept neither lists of types nor fields next to ``anyOf``.

Gemini refuses an entire request because of a single such schema, without giving a reason. Only the
refused parts are changed: ``anyOf`` alone is accepted, even with ``null`` in it.
"""

from collections.abc import Mapping
from typing import Any, Final

from copilot_proxy.formats.model_profiles import ModelProfile
from copilot_proxy.formats.rules.combined_schemas import merged
from copilot_proxy.formats.rules.outgoing import OutgoingBody
from copilot_proxy.formats.rules.schemas import rewrite_tool_schemas
from copilot_proxy.formats.types import Json

_MAPS: Final = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
"""The keywords whose values map names to schemas."""
_LISTS: Final = ("anyOf", "oneOf", "allOf", "prefixItems")
"""The keywords whose values are lists of schemas."""
_SCHEMAS: Final = ("items", "additionalProperties", "not", "contains", "if", "then", "else")
"""The keywords whose values are schemas."""
_ANNOTATIONS: Final = (
    "description",
    "title",
    "default",
    "examples",
    "deprecated",
    "$schema",
    "$id",
    "$comment",
    "$defs",
    "definitions",
)
"""The keywords that do not restrict values, and may therefore stay next to ``anyOf``."""
_PYTHON_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "object": (dict,),
    "array": (list,),
}
_KEYWORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "object": ("properties", "required", "additionalProperties", "patternProperties"),
    "array": ("items", "prefixItems", "minItems", "maxItems", "uniqueItems"),
    "string": ("minLength", "maxLength", "pattern", "format"),
}
"""The keywords that only restrict values of one type."""
_MAX_DEPTH: Final = 100
"""Schemas nested more deeply than this are left unchanged."""
_NULL: Final = {"type": "null"}


def merge_unions(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Rewrite the tool schemas that the model would refuse."""
    reason = "the model accepts neither a list of types nor fields next to anyOf"
    rewrite_tool_schemas(outgoing, without_unions, reason, notes)


def without_unions(parameters: Json) -> Json:
    """Return the rewritten schema of a tool's parameters.

    If the model refuses nothing in it, the same object is returned. The result must be an object
    schema, so an ``anyOf`` at its top level is merged into it.
    """
    schema = _rewrite_inside(parameters, 0)
    if isinstance(schema.get("type"), list):
        schema = {**schema, "type": "object"}
    if _has_siblings(schema):
        schema = merged(schema, "anyOf")
    return schema


def _rewrite(schema: Any, depth: int) -> Any:
    if not isinstance(schema, dict) or depth > _MAX_DEPTH:
        return schema
    schema = _rewrite_inside(schema, depth)
    if isinstance(schema.get("type"), list):
        schema = _with_one_type(schema)
    return _with_any_of_alone(schema) if _has_siblings(schema) else schema


def _rewrite_inside(schema: Json, depth: int) -> Json:
    """Rewrite the schemas inside a schema."""
    changed: Json = {}
    for name, value in schema.items():
        new = value
        if name in _MAPS and isinstance(value, dict):
            inner = {key: _rewrite(one, depth + 1) for key, one in value.items()}
            new = inner if any(inner[key] is not value[key] for key in value) else value
        elif name in _LISTS and isinstance(value, list):
            items = [_rewrite(one, depth + 1) for one in value]
            new = items if any(a is not b for a, b in zip(items, value, strict=True)) else value
        elif name in _SCHEMAS:
            new = _rewrite(value, depth + 1)
        if new is not value:
            changed[name] = new
    return {**schema, **changed} if changed else schema


def _with_one_type(schema: Json) -> Json:
    """Return a schema with a single type, which may be ``nullable``, or with ``anyOf`` in place of
    a list of types."""
    types = [one for one in schema["type"] if one != "null"]
    has_null = len(types) < len(schema["type"])
    rest = {name: value for name, value in schema.items() if name != "type"}
    if "anyOf" in schema and len(types) != 1:
        return rest
    if not types:
        return {**rest, **_NULL} if has_null else rest
    if len(types) == 1:
        if not has_null:
            return {**schema, "type": types[0]}
        if isinstance(rest.get("enum"), list):
            rest["enum"] = [value for value in rest["enum"] if value is not None]
        return {"type": types[0], "nullable": True, **rest}
    kept = {name: value for name, value in rest.items() if name in _ANNOTATIONS}
    limits = {name: value for name, value in rest.items() if name not in _ANNOTATIONS}
    branches = [_of_type(str(one), limits) for one in types]
    return {**kept, "anyOf": [*branches, dict(_NULL)] if has_null else branches}


def _of_type(name: str, limits: Json) -> Json:
    """Return a schema for one type, without the `limits` that only concern other types."""
    foreign = {word for one, words in _KEYWORDS.items() if one != name for word in words}
    schema = {"type": name, **{k: v for k, v in limits.items() if k not in foreign}}
    if isinstance(schema.get("enum"), list):
        schema["enum"] = [v for v in schema["enum"] if type(v) in _PYTHON_TYPES.get(name, ())]
        if not schema["enum"]:
            del schema["enum"]
    return schema


def _has_siblings(schema: Json) -> bool:
    """Return whether the schema is refused because of fields next to ``anyOf``."""
    branches = schema.get("anyOf")
    return isinstance(branches, list) and ("type" in schema or "properties" in schema)


def _with_any_of_alone(schema: Json) -> Json:
    """Return a schema with its restrictions moved into the branches of its ``anyOf``."""
    kept = {name: value for name, value in schema.items() if name in _ANNOTATIONS}
    limits = {
        name: value
        for name, value in schema.items()
        if name not in (*_ANNOTATIONS, "anyOf", "nullable")
    }
    branches = [_merged(limits, branch) for branch in schema["anyOf"]]
    if schema.get("nullable") is True and _NULL not in branches:
        branches.append(dict(_NULL))
    return {**kept, "anyOf": branches}


def _merged(limits: Json, branch: Any) -> Any:
    """Return a branch with the restrictions of its parent added, or unchanged if they do not
    fit."""
    if not isinstance(branch, dict) or "$ref" in branch or "anyOf" in branch:
        return branch
    if branch.get("type", limits.get("type")) != limits.get("type", branch.get("type")):
        return branch  # a different type: the parent's restrictions do not fit
    merged = {**limits, **branch}
    if isinstance(limits.get("properties"), dict) and isinstance(branch.get("properties"), dict):
        merged["properties"] = {**limits["properties"], **branch["properties"]}
    if isinstance(limits.get("required"), list) and isinstance(branch.get("required"), list):
        merged["required"] = list(dict.fromkeys([*limits["required"], *branch["required"]]))
    return merged
