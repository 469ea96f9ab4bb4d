"""Translates the system prompt and messages of a Messages request to chat messages."""

from collections.abc import Collection, Iterator
from typing import Any, Final

import msgspec

from copilot_proxy.errors import RequestError
from copilot_proxy.formats.chat_completions.tool_results import reference_text
from copilot_proxy.formats.images import image_hint
from copilot_proxy.formats.messages.encrypted_reasoning import from_thinking_blocks
from copilot_proxy.formats.messages.system import without_billing
from copilot_proxy.formats.types import Json

_THINKING_TYPES: Final = ("thinking", "redacted_thinking")
_RESULT_TYPES: Final = ("text", "image", "document", "search_result")
"""The blocks of tool results that have an equivalent; the JSON of others becomes text."""
FAILED: Final = "The tool failed:"
"""The beginning of a tool result's text if its ``is_error`` is true."""


def system_message(system: Any, notes: list[str]) -> list[Json]:
    """Return the system prompt, a string or blocks, as a list of one message, or none if empty."""
    if isinstance(system, list):
        blocks = without_billing(system, notes)
        system = "\n\n".join(text for block in blocks if (text := block.get("text")))
    return [{"role": "system", "content": system}] if system else []


def translate_messages(
    messages: list[Json], notes: list[str], offered: Collection[str] = ()
) -> list[Json]:
    """Return the chat messages; one message may become several.

    `offered` are the names of the tools that the model may call. Raises `RequestError` for a
    document that is not text, and for an image that is not base64.
    """
    unique_notes: set[str] = set()
    chat_messages: list[Json] = []
    for i, message in enumerate(messages):
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        path = f"messages[{i}].content"
        if message["role"] == "assistant":
            translated = _assistant(blocks, unique_notes)
        elif message["role"] == "system":
            translated = system_message(blocks, notes)
        else:
            translated = _user(blocks, path, unique_notes, offered)
        if not translated:
            unique_notes.add(f"dropped messages[{i}]: it is empty")
        chat_messages += translated
    notes += sorted(unique_notes)
    return chat_messages


def _assistant(blocks: list[Json], unique_notes: set[str]) -> list[Json]:
    texts: list[str] = []
    calls: list[Json] = []
    for block in blocks:
        match block["type"]:
            case "text":
                texts.append(block["text"])
            case "tool_use":
                function = {"name": block["name"], "arguments": _arguments(block.get("input"))}
                calls.append({"id": block["id"], "type": "function", "function": function})
            case block_type if block_type not in _THINKING_TYPES:
                unique_notes.add(_no_equivalent(block_type))
    message: Json = {"role": "assistant", "content": "".join(texts) or None}
    reasoning, opaque = from_thinking_blocks(
        block for block in blocks if block["type"] in _THINKING_TYPES
    )
    if reasoning:
        message["reasoning_content"] = reasoning
    if opaque:
        message["reasoning_opaque"] = opaque
    if calls:
        message["tool_calls"] = calls
    return [message] if texts or calls else []


def _no_equivalent(block_type: str) -> str:
    return f"dropped {block_type} blocks: Chat Completions has no equivalent"


def _arguments(tool_input: Any) -> str:
    """Return the input of a call as JSON; a string is what a model wrote instead of an object."""
    if isinstance(tool_input, str):
        return tool_input
    return msgspec.json.encode({} if tool_input is None else tool_input).decode()


def _user(
    blocks: list[Json], path: str, unique_notes: set[str], offered: Collection[str]
) -> list[Json]:
    """Return a message for each tool result, in order, and then the user's message.

    Images in results are moved to the user's message, since a chat result can only be text.
    """
    results: list[Json] = []
    images: list[Json] = []
    parts: list[Json] = []
    for i, block in enumerate(blocks):
        block_path = f"{path}[{i}]"
        if block["type"] == "tool_result":
            message, result_images = _tool_result(block, block_path, unique_notes, offered)
            results.append(message)
            images += result_images
        else:
            parts += _parts(block, block_path, unique_notes)
    if images:
        unique_notes.add(
            "moved images out of tool results: Chat Completions does not allow them there"
        )
    parts = images + parts
    if len(parts) == 1 and parts[0]["type"] == "text":
        return [*results, {"role": "user", "content": parts[0]["text"]}]
    return [*results, {"role": "user", "content": parts}] if parts else results


def _tool_result(
    block: Json, path: str, unique_notes: set[str], offered: Collection[str]
) -> tuple[Json, list[Json]]:
    """Return the message of a tool result, and the user parts that show its images."""
    content = block.get("content")
    parts: list[Json] = []
    if isinstance(content, str):
        parts = [{"type": "text", "text": content}]
    else:
        for i, inner in enumerate(content or ()):
            if inner["type"] == "tool_reference":
                found = reference_text(inner.get("tool_name"), offered)
                parts.append({"type": "text", "text": found})
            elif inner["type"] in _RESULT_TYPES:
                parts += _parts(inner, f"{path}.content[{i}]", unique_notes)
            else:
                parts.append({"type": "text", "text": msgspec.json.encode(inner).decode()})
    text = "\n".join(part["text"] for part in parts if part["type"] == "text")
    if block.get("is_error") is True:
        text = f"{FAILED} {text}".strip()
    images = [part for part in parts if part["type"] == "image_url"]
    if images:
        label = f"From the result of {block['tool_use_id']}:"
        images.insert(0, {"type": "text", "text": label})
        text = text or "(an image, which follows)"
    return {"role": "tool", "tool_call_id": block["tool_use_id"], "content": text}, images


def _parts(block: Json, path: str, unique_notes: set[str]) -> list[Json]:
    """Return the chat parts of a block that is neither a call nor a result."""
    match block["type"]:
        case "text":
            return [{"type": "text", "text": block["text"]}] if block["text"] else []
        case "image":
            return [_image(block["source"], path)]
        case "document":
            return list(_document(block, path, unique_notes))
        case "search_result":
            return [{"type": "text", "text": _search_result(block)}]
        case block_type:
            unique_notes.add(_no_equivalent(block_type))
            return []


def _image(source: Any, path: str) -> Json:
    match source:
        case {"type": "base64", "media_type": str(media_type), "data": str(data)}:
            url = f"data:{media_type};base64,{data}"
        case {"type": "url", "url": str(url)} if url.startswith("data:"):
            pass
        case _:
            raise RequestError(
                "Copilot does not fetch images from URLs or from Anthropic's Files API.",
                param=f"{path}.source",
                code="unsupported_value",
                hint=image_hint(
                    "Send the data itself, in a source of type base64",
                    source.get("url") if isinstance(source, dict) else None,
                ),
            )
    return {"type": "image_url", "image_url": {"url": url}}


def _document(block: Json, path: str, unique_notes: set[str]) -> Iterator[Json]:
    """Yield the text and images of a document between ``<document title="…">`` tags."""
    title = f' title="{block["title"]}"' if isinstance(block.get("title"), str) else ""
    match block["source"]:
        case {"type": "text", "data": str(text)} | {"type": "content", "content": str(text)}:
            yield {"type": "text", "text": f"<document{title}>\n{text}\n</document>"}
        case {"type": "content", "content": [*blocks]}:
            yield {"type": "text", "text": f"<document{title}>"}
            for i, inner in enumerate(blocks):
                if isinstance(inner, dict) and inner.get("type") in ("text", "image"):
                    yield from _parts(inner, f"{path}.source.content[{i}]", unique_notes)
            yield {"type": "text", "text": "</document>"}
        case _:
            raise RequestError(
                "This model only accepts documents as text, not as PDFs, files or URLs.",
                param=f"{path}.source",
                code="unsupported_value",
                hint="Send the text of the document, or use a model that copilot-proxy models "
                "lists with the messages API.",
            )


def _search_result(block: Json) -> str:
    """Return the title, source and texts of a search result, one per line."""
    content = block.get("content")
    inner = content if isinstance(content, list) else []
    texts = [part.get("text") for part in inner if isinstance(part, dict)]
    lines = [block.get("title"), block.get("source"), *texts]
    return "\n".join(line for line in lines if isinstance(line, str))
