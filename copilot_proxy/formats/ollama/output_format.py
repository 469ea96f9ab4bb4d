"""Translates Ollama's ``format`` to the ``response_format`` of Chat Completions."""

from typing import Any, Final

from copilot_proxy.formats.rules.schemas import close_schema
from copilot_proxy.formats.strict_output import can_be_strict
from copilot_proxy.formats.types import ChatRequest, Json

_JSON_ONLY: Final = "Answer with a JSON object, and nothing else."


def set_format(output_format: Any, chat: ChatRequest, notes: list[str]) -> None:
    """Set the output format of `chat`: ``json``, a schema, or none."""
    if output_format == "json":
        chat["response_format"] = {"type": "json_object"}
        # OpenAI's models refuse this format unless the conversation mentions JSON.
        if not any("json" in _text(message).lower() for message in chat["messages"]):
            chat["messages"] = [{"role": "system", "content": _JSON_ONLY}, *chat["messages"]]
            notes.append("added an instruction to answer in JSON, which some models require")
    elif isinstance(output_format, dict) and output_format:
        is_strict = can_be_strict(output_format)
        schema = close_schema(output_format) if is_strict else output_format
        inner = {"name": "answer", "schema": schema, "strict": is_strict}
        chat["response_format"] = {"type": "json_schema", "json_schema": inner}


def _text(message: Json) -> str:
    content = message.get("content")
    if isinstance(content, list):
        return " ".join(part.get("text") or "" for part in content)
    return content or ""
