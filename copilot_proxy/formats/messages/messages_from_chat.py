"""The messages of a chat completions request as Claude's system prompt and turns."""

from typing import Any

import msgspec

from copilot_proxy.formats.images import parse_data_url
from copilot_proxy.formats.messages.schema import Json
from copilot_proxy.formats.messages.sealed_reasoning import thinking_blocks


def translate_messages(chat: list[Json], notes: list[str]) -> tuple[list[Json], list[Json]]:
    """The blocks of the system prompt, and the turns; raises `RequestError`."""
    told: set[str] = set()
    system: list[Json] = []
    turns: list[Json] = []
    for i, message in enumerate(chat):
        path = f"messages[{i}]"
        role = message["role"]
        if message.get("name"):
            told.add("dropped name of messages: Claude has nothing like it")
        if role in ("system", "developer"):
            if turns:
                told.add("moved a later system message to the front: Claude has it there")
            system += _parts(message["content"], path, message)
        elif role == "assistant":
            _add(turns, "assistant", _assistant(message, path))
        elif role == "tool":
            _add(turns, "user", [_result(message, path)])
        else:
            _add(turns, "user", _parts(message["content"], path, message))
    notes += sorted(told)
    return system, turns


def _add(turns: list[Json], role: str, blocks: list[Json]) -> None:
    """Adds to the last turn if it is of the same role, with the results of tools before the rest,
    as Claude demands; else a new one."""
    if not blocks:
        return
    if turns and turns[-1]["role"] == role:
        blocks = turns.pop()["content"] + blocks
    blocks.sort(key=lambda block: block["type"] != "tool_result")
    turns.append({"role": role, "content": blocks})


def _assistant(message: Json, path: str) -> list[Json]:
    blocks = thinking_blocks(message.get("reasoning_content"), message.get("reasoning_opaque"))
    said = _parts(message.get("content"), path, message)
    if not said and message.get("refusal"):
        said = _text(message["refusal"], message)
    blocks += said
    for call in message.get("tool_calls") or ():
        function = call["function"]
        blocks.append(
            {
                "type": "tool_use",
                "id": call["id"],
                "name": function["name"],
                "input": _input(function.get("arguments") or ""),
            }
        )
    return blocks


def _input(text: str) -> Any:
    """A call's arguments as an object; the text itself if it is none."""
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return text
    return value if isinstance(value, dict) else text


def _result(message: Json, path: str) -> Json:
    content = message["content"]
    return {
        "type": "tool_result",
        "tool_use_id": message["tool_call_id"],
        "content": content if isinstance(content, str) else _parts(content, path, {}),
        **_mark(message),
    }


def _parts(content: Any, path: str, message: Json) -> list[Json]:
    """The blocks of a message's content."""
    if isinstance(content, str):
        return _text(content, message)
    blocks: list[Json] = []
    for i, part in enumerate(content or ()):
        match part["type"]:
            case "text":
                blocks += _text(part["text"], part)
            case "refusal":
                blocks += _text(part["refusal"], part)
            case _:  # the chat's check lets images through, and nothing else
                blocks.append({**_image(part["image_url"], f"{path}.content[{i}]"), **_mark(part)})
    return blocks


def _text(text: str, holder: Json) -> list[Json]:
    return [{"type": "text", "text": text, **_mark(holder)}] if text else []


def _mark(holder: Json) -> Json:
    """The mark for the cache that some clients put on messages and parts, as Claude has it."""
    mark = holder.get("cache_control")
    return {"cache_control": mark} if mark else {}


def _image(image: Any, path: str) -> Json:
    url = image if isinstance(image, str) else image["url"]
    media_type, data = parse_data_url(url, "Claude", f"{path}.image_url")
    source = {"type": "base64", "media_type": media_type, "data": data}
    return {"type": "image", "source": source}
