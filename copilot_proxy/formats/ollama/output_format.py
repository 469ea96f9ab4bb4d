"""Translates Ollama's ``format`` to the ``response_format`` of Chat Completions."""

from typing import Any, Final

from copilot_proxy.formats.rules.schemas import close_schema
from copilot_proxy.formats.types import ChatRequest, Json

_STRICT_KEYWORDS: Final = frozenset(
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
"""The keywords that are certain to be accepted with ``strict``.

Source: OpenAI's guide to structured outputs, https://platform.openai.com/docs/guides/structured-outputs
"""
_KINDS: Final = frozenset({"type", "anyOf", "$ref", "enum", "const"})
"""Every schema must have one of these keywords."""
_JSON_ONLY: Final = "Answer with a JSON object, and nothing else."


def set_format(output_format: Any, chat: ChatRequest, notes: list[str]) -> None:
    """Set the output format of `chat`: ``json``, a schema, or none."""
    if output_format == "json":
        chat["response_format"] = {"type": "json_object"}
        # OpenAI's models refuse this format unless the conversation mentions it.
        if not any("json" in _text(message).lower() for message in chat["messages"]):
            chat["messages"] = [{"role": "system", "content": _JSON_ONLY}, *chat["messages"]]
            notes.append("added an instruction to answer in JSON, which some models require")
    elif isinstance(output_format, dict) and output_format:
        is_strict = _can_be_strict(output_format)
        schema = close_schema(output_format) if is_strict else output_format
        inner = {"name": "answer", "schema": schema, "strict": is_strict}
        chat["response_format"] = {"type": "json_schema", "json_schema": inner}


def _text(message: Json) -> str:
    content = message.get("content")
    if isinstance(content, list):
        return " ".join(part.get("text") or "" for part in content)
    return content or ""


def _can_be_strict(schema: Any, *, top: bool = True) -> bool:
    """Whether the model can be bound to the schema: all properties of all objects are required."""
    if not isinstance(schema, dict) or not _STRICT_KEYWORDS.issuperset(schema):
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
    return all(_can_be_strict(one, top=False) for one in inner)
