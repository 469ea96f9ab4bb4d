"""An answer as JSON: by the model's own means, or by an instruction where it has none."""

from typing import Any, Final

import msgspec

from copilot_proxy.formats.messages.schema import Json

ANY_JSON: Final = "Answer with one JSON object and nothing else: no other words, no code fence."
BY_SCHEMA: Final = (
    "Answer with JSON and nothing else: no other words, no code fence. "
    "It has to be valid by this JSON schema:\n"
)

_NAMED: Final = ("properties", "patternProperties", "$defs", "definitions")
"""Where a schema has schemas under names of the client's."""

_VALUES: Final = ("enum", "const", "default", "examples", "required")
"""Where a schema has no schemas but values."""


def instruct_schema(body: Json, notes: list[str]) -> None:
    """Replaces ``output_config.format`` by an instruction."""
    config = body.get("output_config")
    if not isinstance(config, dict) or config.get("format") is None:
        return
    wanted = config["format"]
    body["output_config"] = {name: v for name, v in config.items() if name != "format"}
    if not body["output_config"]:
        del body["output_config"]
    schema = wanted.get("schema") if isinstance(wanted, dict) else None
    instruct(body, by_schema(schema))
    notes.append("changed output_config.format: an instruction, the model has no structured output")


def instruct(body: Json, text: str) -> None:
    """Adds an instruction at the end of the system prompt."""
    system = body.get("system") or []
    blocks = [{"type": "text", "text": system}] if isinstance(system, str) else list(system)
    body["system"] = [*blocks, {"type": "text", "text": text}]


def by_schema(schema: Any) -> str:
    """The instruction to answer by a schema."""
    return BY_SCHEMA + msgspec.json.encode(schema).decode() if schema else ANY_JSON


def closed(schema: Any) -> Any:
    """The schema with every object of it closed, as Claude's structured output demands.

    What is valid by it is valid by the one that it was made of.
    """
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    copy: Json = {}
    for name, value in schema.items():
        if name in _NAMED and isinstance(value, dict):
            copy[name] = {key: closed(inner) for key, inner in value.items()}
        else:
            copy[name] = value if name in _VALUES else closed(value)
    if schema.get("type") == "object" and isinstance(schema.get("properties"), dict):
        copy["additionalProperties"] = False
    return copy
