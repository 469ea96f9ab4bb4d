"""Translates the messages of a Chat Completions request to Claude's system prompt and messages."""

from typing import Any, Final

import msgspec

from copilot_proxy.formats.chat_completions.earlier_answers import (
    UNUSABLE_REASONING,
    has_reasoning,
    note_unknown,
)
from copilot_proxy.formats.documents import PDF, pdf_data
from copilot_proxy.formats.images import parse_data_url
from copilot_proxy.formats.messages.encrypted_reasoning import thinking_blocks
from copilot_proxy.formats.messages.merging import append
from copilot_proxy.formats.types import Json

_decode: Final = msgspec.json.Decoder().decode


def translate_messages(
    chat_messages: list[Json], notes: list[str]
) -> tuple[list[Json], list[Json]]:
    """Return the blocks of the system prompt, and the messages ``{"role", "content": [block]}``.

    System messages in the middle of the conversation stay in place: if they were moved to the
    front, each new one would invalidate the entire prompt cache. `formats.rules` moves them for
    models that require it. Raises `RequestError` for an image that is not base64.
    """
    unique_notes: set[str] = set()
    system: list[Json] = []
    messages: list[Json] = []
    for i, message in enumerate(chat_messages):
        path = f"messages[{i}]"
        role = message["role"]
        if role in ("system", "developer"):
            blocks = _blocks(message["content"], path, message)
            if messages:
                append(messages, "system", blocks)
            else:
                system += blocks
        elif role == "assistant":
            append(messages, "assistant", _assistant(message, path, unique_notes))
        elif role == "tool":
            append(messages, "user", [_tool_result(message, path)])
        else:
            append(messages, "user", _blocks(message["content"], path, message))
    notes += sorted(unique_notes)
    note_unknown(chat_messages, "Claude", notes)
    return system, messages


def _assistant(message: Json, path: str, unique_notes: set[str]) -> list[Json]:
    blocks: list[Json] = []
    if opaque := message.get("reasoning_opaque"):
        blocks += thinking_blocks(message.get("reasoning_content"), opaque)
    if not blocks and has_reasoning(message):
        unique_notes.add(UNUSABLE_REASONING)
    texts = _blocks(message.get("content"), path, message)
    if not texts and message.get("refusal"):
        texts = _text_blocks(message["refusal"], message)
    blocks += texts
    blocks += map(_call, message.get("tool_calls") or ())
    return blocks


def _call(call: Json) -> Json:
    """Return the block for a call. A custom tool's input becomes the argument ``input``."""
    if call.get("type") == "custom":
        name, tool_input = call["custom"]["name"], {"input": call["custom"]["input"]}
    else:
        function = call["function"]
        name, tool_input = function["name"], _input(function.get("arguments") or "")
    return {"type": "tool_use", "id": call["id"], "name": name, "input": tool_input}


def _input(arguments: str) -> Any:
    """Return the arguments of a call as an object, or as text if they are not an object."""
    try:
        value = _decode(arguments)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return arguments
    return value if isinstance(value, dict) else arguments


def _tool_result(message: Json, path: str) -> Json:
    content = message["content"]
    block = {
        "type": "tool_result",
        "tool_use_id": message["tool_call_id"],
        "content": content if isinstance(content, str) else _blocks(content, path, {}),
    }
    return {**block, **_mark(message)} if "cache_control" in message else block


def _blocks(content: Any, path: str, message: Json) -> list[Json]:
    """Translate the content of a message to blocks."""
    if isinstance(content, str):
        return _text_blocks(content, message)
    blocks: list[Json] = []
    for i, part in enumerate(content or ()):
        match part["type"]:
            case "text":
                blocks += _text_blocks(part["text"], part)
            case "refusal":
                blocks += _text_blocks(part["refusal"], part)
            case "file":
                source = {"type": "base64", "media_type": PDF, "data": pdf_data(part)}
                title = part["file"]["filename"]
                blocks.append({"type": "document", "source": source, "title": title, **_mark(part)})
            case _:  # an image; all other types were rejected when the chat request was validated
                blocks.append({**_image(part["image_url"], f"{path}.content[{i}]"), **_mark(part)})
    return blocks


def _text_blocks(text: str, part: Json) -> list[Json]:
    return [{"type": "text", "text": text, **_mark(part)}] if text else []


def _mark(part: Json) -> Json:
    """Return the cache mark that some clients set on chat messages and parts, or {}."""
    mark = part.get("cache_control")
    return {"cache_control": mark} if mark else {}


def _image(image: Any, path: str) -> Json:
    url = image if isinstance(image, str) else image["url"]
    media_type, data = parse_data_url(url, "Claude", f"{path}.image_url")
    source = {"type": "base64", "media_type": media_type, "data": data}
    return {"type": "image", "source": source}
