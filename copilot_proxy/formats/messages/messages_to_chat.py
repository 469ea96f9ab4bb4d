"""The system prompt and turns of a Messages request as the messages of a chat."""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from copilot_proxy.errors import RequestError
from copilot_proxy.formats.images import image_hint
from copilot_proxy.formats.messages.schema import Json
from copilot_proxy.formats.messages.sealed_reasoning import from_blocks
from copilot_proxy.formats.messages.system import without_billing

_THOUGHT: Final = ("thinking", "redacted_thinking")
FAILED: Final = "The tool failed:"


def system_message(system: Any, notes: list[str]) -> list[Json]:
    """The system prompt as one message; none if there is none."""
    if isinstance(system, list):
        blocks = without_billing(system, notes)
        system = "\n\n".join(text for block in blocks if (text := block.get("text")))
    return [{"role": "system", "content": system}] if system else []


def translate_messages(turns: list[Json], notes: list[str]) -> list[Json]:
    """The messages of the chat; raises `RequestError`."""
    told: set[str] = set()
    chat: list[Json] = []
    for i, turn in enumerate(turns):
        content = turn["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        path = f"messages[{i}].content"
        if turn["role"] == "assistant":
            made = _assistant(blocks, told)
        elif turn["role"] == "system":
            made = system_message(blocks, notes)
        else:
            made = _user(blocks, path, told)
        if not made:
            told.add(f"dropped messages[{i}]: it is empty")
        chat += made
    notes += sorted(told)
    return chat


def _assistant(blocks: list[Json], told: set[str]) -> list[Json]:
    texts: list[str] = []
    calls: list[Json] = []
    for block in blocks:
        match block["type"]:
            case "text":
                texts.append(block["text"])
            case "tool_use":
                function = {"name": block["name"], "arguments": _arguments(block.get("input"))}
                calls.append({"id": block["id"], "type": "function", "function": function})
            case kind if kind not in _THOUGHT:
                told.add(f"dropped {kind} blocks: chat completions have nothing like them")
    message: Json = {"role": "assistant", "content": "".join(texts) or None}
    reasoning, opaque = from_blocks(block for block in blocks if block["type"] in _THOUGHT)
    if reasoning:
        message["reasoning_content"] = reasoning
    if opaque:
        message["reasoning_opaque"] = opaque
    if calls:
        message["tool_calls"] = calls
    return [message] if texts or calls else []


def _arguments(given: Any) -> str:
    """What a tool was called with, as JSON; a text is what a model has written of it."""
    if isinstance(given, str):
        return given
    return msgspec.json.encode({} if given is None else given).decode()


def _user(blocks: list[Json], path: str, told: set[str]) -> list[Json]:
    """The results of tools as messages of their own, in their order, then what the person says.

    Images in results go to the person's message, since a result is text alone.
    """
    results: list[Json] = []
    images: list[Json] = []
    parts: list[Json] = []
    for i, block in enumerate(blocks):
        where = f"{path}[{i}]"
        if block["type"] == "tool_result":
            message, shown = _result(block, where, told)
            results.append(message)
            images += shown
        else:
            parts += _parts(block, where, told)
    if images:
        told.add("moved images out of tool results: chat completions have none there")
    parts = images + parts
    if len(parts) == 1 and parts[0]["type"] == "text":
        return [*results, {"role": "user", "content": parts[0]["text"]}]
    return [*results, {"role": "user", "content": parts}] if parts else results


def _result(block: Json, path: str, told: set[str]) -> tuple[Json, list[Json]]:
    """The message of a tool's result, and the parts that show its images."""
    content = block.get("content")
    parts: list[Json] = []
    if isinstance(content, str):
        parts = [{"type": "text", "text": content}]
    else:
        for i, inner in enumerate(content or ()):
            parts += _parts(inner, f"{path}.content[{i}]", told)
    text = "\n".join(part["text"] for part in parts if part["type"] == "text")
    if block.get("is_error") is True:
        text = f"{FAILED} {text}".strip()
    shown = [part for part in parts if part["type"] == "image_url"]
    if shown:
        label = f"From the result of {block['tool_use_id']}:"
        shown.insert(0, {"type": "text", "text": label})
        text = text or "(an image, which follows)"
    return {"role": "tool", "tool_call_id": block["tool_use_id"], "content": text}, shown


def _parts(block: Json, path: str, told: set[str]) -> list[Json]:
    """The parts of a block that is neither a call nor a result."""
    match block["type"]:
        case "text":
            return [{"type": "text", "text": block["text"]}] if block["text"] else []
        case "image":
            return [_image(block["source"], path)]
        case "document":
            return list(_document(block, path, told))
        case "search_result":
            return [{"type": "text", "text": _found(block)}]
        case kind:
            told.add(f"dropped {kind} blocks: chat completions have nothing like them")
            return []


def _image(source: Any, path: str) -> Json:
    match source:
        case {"type": "base64", "media_type": str(media_type), "data": str(data)}:
            url = f"data:{media_type};base64,{data}"
        case {"type": "url", "url": str(url)} if url.startswith("data:"):
            pass
        case _:
            raise RequestError(
                "Copilot does not fetch images from elsewhere.",
                param=f"{path}.source",
                code="unsupported_value",
                hint=image_hint(
                    "Send its data itself, in a source of type base64",
                    source.get("url") if isinstance(source, dict) else None,
                ),
            )
    return {"type": "image_url", "image_url": {"url": url}}


def _document(block: Json, path: str, told: set[str]) -> Iterator[Json]:
    """The words of a document, named and marked off from the rest."""
    name = f' title="{block["title"]}"' if isinstance(block.get("title"), str) else ""
    match block["source"]:
        case {"type": "text", "data": str(text)} | {"type": "content", "content": str(text)}:
            yield {"type": "text", "text": f"<document{name}>\n{text}\n</document>"}
        case {"type": "content", "content": [*blocks]}:
            yield {"type": "text", "text": f"<document{name}>"}
            for i, inner in enumerate(blocks):
                if isinstance(inner, dict) and inner.get("type") in ("text", "image"):
                    yield from _parts(inner, f"{path}.source.content[{i}]", told)
            yield {"type": "text", "text": "</document>"}
        case _:
            raise RequestError(
                "This model takes documents as text alone: no PDF, file or address.",
                param=f"{path}.source",
                code="unsupported_value",
                hint="Send the document's text, or take a model that copilot-proxy models lists "
                "with the messages API.",
            )


def _found(block: Json) -> str:
    """The words of something that the client's own search has found."""
    content = block.get("content")
    inner = content if isinstance(content, list) else []
    texts = [part.get("text") for part in inner if isinstance(part, dict)]
    lines = [block.get("title"), block.get("source"), *texts]
    return "\n".join(line for line in lines if isinstance(line, str))
