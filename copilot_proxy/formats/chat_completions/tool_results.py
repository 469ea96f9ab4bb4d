"""Converts unsupported parts of tool results to text, for Chat Completions."""

from collections.abc import Collection
from typing import Final

import msgspec

from copilot_proxy.formats.chat_completions.tool_choice import tool_name
from copilot_proxy.formats.types import ChatRequest, Json

_SUPPORTED: Final = ("text", "image_url", "file", "input_audio", "refusal")
_TEXTS: Final = ("input_text", "output_text")


def resolve_results(request: ChatRequest) -> ChatRequest:
    """Return the request with unsupported parts of tool results converted to text."""
    messages = request["messages"]
    parted = [message for message in messages if isinstance(message.get("content"), list)]
    if not any(map(_has_other_parts, parted)):
        return request
    offered = {tool_name(tool) for tool in request.get("tools") or ()}
    resolved = [
        {**message, "content": [_part(part, offered) for part in message["content"]]}
        if _has_other_parts(message)
        else message
        for message in messages
    ]
    return {**request, "messages": resolved}


def reference_text(name: object, offered: Collection[str]) -> str:
    """Return the text that replaces a reference to the tool `name`, which a tool search found.

    `offered` are the names of the tools in the request.
    """
    if isinstance(name, str) and name in offered:
        return f"Found the tool {name}, which can be called now."
    return f"Found the tool {name}, which is not offered."


def _has_other_parts(message: Json) -> bool:
    content = message.get("content")
    if message["role"] != "tool" or not isinstance(content, list):
        return False
    return any(part["type"] not in _SUPPORTED for part in content)


def _part(part: Json, offered: Collection[str]) -> Json:
    if part["type"] in _SUPPORTED:
        return part
    if part["type"] == "tool_reference":
        text = reference_text(part.get("tool_name"), offered)
    elif part["type"] in _TEXTS and isinstance(part.get("text"), str):
        text = part["text"]
    else:
        text = msgspec.json.encode(part).decode()
    return {"type": "text", "text": text}
