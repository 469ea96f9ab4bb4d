"""The messages of a chat completions request as Claude's system prompt and turns."""

import re
from typing import Any, Final

from copilot_proxy.formats.images import parse_data_url
from copilot_proxy.formats.messages.history import CONTINUE
from copilot_proxy.formats.messages.message_events import parsed_input
from copilot_proxy.formats.messages.schema import Json
from copilot_proxy.formats.messages.sealed_reasoning import thinking_blocks

_BAD_IN_ID: Final = re.compile(r"[^a-zA-Z0-9_-]")
_BEGIN: Final = "Please begin."
"""Said for the person where a conversation begins with the model's words: Claude's has to begin
with the person's."""


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
    _complete(turns, told)
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


def _complete(turns: list[Json], told: set[str]) -> None:
    """Sees to it that the turns begin and end with the person's."""
    if turns and turns[0]["role"] == "assistant":
        turns.insert(0, {"role": "user", "content": [{"type": "text", "text": _BEGIN}]})
        told.add(f"added a user message ({_BEGIN}): Claude's conversations begin with one")
    if not turns or turns[-1]["role"] == "assistant":
        turns.append({"role": "user", "content": [{"type": "text", "text": CONTINUE}]})
        told.add(f"added a user message ({CONTINUE}): Copilot takes no beginning of an answer")


def _assistant(message: Json, path: str) -> list[Json]:
    blocks = thinking_blocks(message.get("reasoning_content"), message.get("reasoning_opaque"))
    said = _parts(message.get("content"), path, message)
    if not said and message.get("refusal"):
        said = _text(message["refusal"], message)
    blocks += said
    for call in message.get("tool_calls") or ():
        function = call["function"]
        arguments = parsed_input(function.get("arguments") or "")
        blocks.append(
            {
                "type": "tool_use",
                "id": _id(call["id"]),
                "name": function["name"],
                "input": arguments,
            }
        )
    return blocks


def _result(message: Json, path: str) -> Json:
    result: Json = {"type": "tool_result", "tool_use_id": _id(message["tool_call_id"])}
    content = message["content"]
    blocks: str | list[Json]
    if isinstance(content, str):
        blocks = content if content.strip() else ""
    else:
        blocks = _parts(content, path, {})
    return {**result, "content": blocks, **_mark(message)} if blocks else result


def _id(id: str) -> str:
    """The id of a call in the only characters that Claude takes."""
    return _BAD_IN_ID.sub("_", id) or "_"


def _parts(content: Any, path: str, message: Json) -> list[Json]:
    """The blocks of a message's content; empty texts, which Claude refuses, are left out."""
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
    return [{"type": "text", "text": text, **_mark(holder)}] if text.strip() else []


def _mark(holder: Json) -> Json:
    """The mark for the cache that some clients put on messages and parts, as Claude has it."""
    mark = holder.get("cache_control")
    return {"cache_control": mark} if mark else {}


def _image(image: Any, path: str) -> Json:
    url = image if isinstance(image, str) else image["url"]
    media_type, data = parse_data_url(url, "Claude", f"{path}.image_url")
    source = {"type": "base64", "media_type": media_type, "data": data}
    return {"type": "image", "source": source}
