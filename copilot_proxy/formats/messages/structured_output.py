"""Converts structured output to instructions, for models that do not support it."""

from typing import Any, Final

import msgspec

from copilot_proxy.formats.types import MessagesRequest

ANY_JSON: Final = "Answer with one JSON object and nothing else: no other words, no code fence."
BY_SCHEMA: Final = (
    "Answer with JSON and nothing else: no other words, no code fence. "
    "It must be valid against this JSON schema:\n"
)


def instruct_schema(body: MessagesRequest) -> bool:
    """Replace ``output_config.format`` with an instruction; return whether a format was set."""
    config = body.get("output_config")
    if not isinstance(config, dict) or config.get("format") is None:
        return False
    output_format = config["format"]
    body["output_config"] = {name: v for name, v in config.items() if name != "format"}
    if not body["output_config"]:
        del body["output_config"]
    schema = output_format.get("schema") if isinstance(output_format, dict) else None
    add_instruction(body, schema_instruction(schema))
    return True


def add_instruction(body: MessagesRequest, text: str) -> None:
    """Append an instruction to the system prompt."""
    system = body.get("system") or []
    blocks = [{"type": "text", "text": system}] if isinstance(system, str) else list(system)
    body["system"] = [*blocks, {"type": "text", "text": text}]


def schema_instruction(schema: Any) -> str:
    """Return the instruction to answer with JSON that matches `schema`, or with any JSON if
    `schema` is empty."""
    return BY_SCHEMA + msgspec.json.encode(schema).decode() if schema else ANY_JSON
