"""Translates the system prompt and messages of a Messages request to chat messages."""

from collections.abc import Collection, Iterator
from typing import Any, Final

import msgspec

from copilot_proxy.errors import RequestError
from copilot_proxy.formats.answer_media import answer_content
from copilot_proxy.formats.chat_completions.earlier_answers import CITATIONS
from copilot_proxy.formats.chat_completions.tool_results import reference_text
from copilot_proxy.formats.documents import about_document, as_text, file_part
from copilot_proxy.formats.messages.encrypted_reasoning import from_thinking_blocks
from copilot_proxy.formats.messages.server_blocks import changed_note, replacements
from copilot_proxy.formats.messages.system import without_billing
from copilot_proxy.formats.messages.unsupported_input import not_fetched, not_uploaded
from copilot_proxy.formats.tool_arguments import arguments_text
from copilot_proxy.formats.types import Json

_NO_EQUIVALENT: Final = "Chat Completions has no equivalent"
_THINKING_TYPES: Final = ("thinking", "redacted_thinking")
_MEDIA: Final = {"image_url": "image", "file": "document"}
"""The types of non-text parts."""
_RESULT_TYPES: Final = ("text", "image", "document", "search_result")
"""The types of blocks in tool results that chat messages can express; others become JSON text."""
_USER_TYPES: Final = (*_RESULT_TYPES, "tool_result")
"""The types of blocks that a user message can contain."""
FAILED: Final = "The tool failed:"
"""The start of a tool result's text if its ``is_error`` is true."""


def system_message(system: Any, path: str, notes: list[str]) -> list[Json]:
    """Return a list with the system message, or [] if the system prompt is empty.

    Raises `RequestError`, with `path`, for a block that is not text, such as a ``tool_addition``.
    """
    if isinstance(system, list):
        for i, block in enumerate(system):
            if block["type"] != "text":
                raise _unexpected(block["type"], f"{path}[{i}]", ("text",))
        blocks = without_billing(system, notes)
        system = "\n\n".join(text for block in blocks if (text := block.get("text")))
    return [{"role": "system", "content": system}] if system else []


def translate_messages(
    messages: list[Json], notes: list[str], offered: Collection[str] = ()
) -> list[Json]:
    """Return the chat messages; one message may become several.

    `offered` contains the names of the tools that the model may call. Raises `RequestError` for an
    image or document without data.
    """
    unique_notes: set[str] = set()
    chat_messages: list[Json] = []
    for i, message in enumerate(messages):
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        if message["role"] == "assistant":
            translated = _assistant(blocks, f"messages[{i}].content", unique_notes)
        elif message["role"] == "system" and _is_over(message, messages[i + 1 :]):
            continue
        elif message["role"] == "system":
            translated = system_message(blocks, f"messages[{i}].content", notes)
        else:
            translated = _user(blocks, f"messages[{i}].content", unique_notes, offered)
        if not translated and not message.get("output_config"):
            unique_notes.add(f"dropped messages[{i}]: it is empty")
        chat_messages += translated
    notes += sorted(unique_notes)
    return chat_messages


def _is_over(message: Json, later: list[Json]) -> bool:
    """Return whether a system message only applied to one of the user's earlier turns."""
    is_short = message.get("clear_at") == "next_user_message"
    return is_short and any(one["role"] == "user" for one in later)


def _assistant(blocks: list[Json], path: str, unique_notes: set[str]) -> list[Json]:
    texts: list[str] = []
    media: list[Json] = []
    calls: list[Json] = []
    thinking: list[Json] = []
    for i, block in enumerate(blocks):
        block_type = block["type"]
        if block_type == "tool_use":
            function = {"name": block["name"], "arguments": arguments_text(block.get("input"))}
            calls.append({"id": block["id"], "type": "function", "function": function})
        elif block_type == "text":
            texts.append(block["text"])
            if block.get("citations"):
                unique_notes.add(CITATIONS)
        elif block_type in _THINKING_TYPES:
            thinking.append(block)
        elif block_type in ("image", "document"):
            media += _parts(block, f"{path}[{i}]", unique_notes)
        else:
            unique_notes.add(changed_note(block_type))
            text, *found = replacements(block)
            texts.append(f"{text['text']}\n\n")
            for one in found:
                media += _parts(one, f"{path}[{i}]", unique_notes)
    message: Json = {"role": "assistant", "content": answer_content("".join(texts), media)}
    if thinking:
        reasoning, opaque = from_thinking_blocks(thinking)
        if reasoning:
            message["reasoning_content"] = reasoning
        if opaque:
            message["reasoning_opaque"] = opaque
    if calls:
        message["tool_calls"] = calls
    return [message] if message["content"] or calls else []


def _user(
    blocks: list[Json], path: str, unique_notes: set[str], offered: Collection[str]
) -> list[Json]:
    """Return a message for each tool result, in order, followed by the user's message.

    Images and PDFs in results are moved to the user's message, because a chat message with a result
    can only contain text.
    """
    results: list[Json] = []
    media: list[Json] = []
    parts: list[Json] = []
    for i, block in enumerate(blocks):
        if block["type"] != "tool_result":
            parts += _parts(block, f"{path}[{i}]", unique_notes)
        elif isinstance(text := block.get("content"), str):
            results.append(_result(block, text))
        else:
            where = f"{path}[{i}]"
            message, found = _rich_result(block, len(results) + 1, where, unique_notes, offered)
            results.append(message)
            media += found
    for kind in {part["type"] for part in media} & _MEDIA.keys() if media else ():
        unique_notes.add(
            f"moved {_MEDIA[kind]}s from tool results to a user message, where every model accepts "
            "them"
        )
    parts = media + parts
    if len(parts) == 1 and parts[0]["type"] == "text":
        return [*results, {"role": "user", "content": parts[0]["text"]}]
    return [*results, {"role": "user", "content": parts}] if parts else results


def _rich_result(
    block: Json, number: int, path: str, unique_notes: set[str], offered: Collection[str]
) -> tuple[Json, list[Json]]:
    """Return two values for a tool result whose content is a list of blocks: its message, and the
    parts with its images and PDFs.

    The parts refer to the result by its position, since rules may later change the ids of calls.
    """
    parts: list[Json] = []
    for i, inner in enumerate(block.get("content") or ()):
        if inner["type"] == "tool_reference":
            found = reference_text(inner.get("tool_name"), offered)
            parts.append({"type": "text", "text": found})
        elif inner["type"] in _RESULT_TYPES:
            parts += _parts(inner, f"{path}.content[{i}]", unique_notes)
        else:
            parts.append({"type": "text", "text": msgspec.json.encode(inner).decode()})
    text = "\n".join(part["text"] for part in parts if part["type"] == "text")
    media = [part for part in parts if part["type"] in _MEDIA]
    message = _result(block, text)
    if media:
        kind = "an image" if media[0]["type"] == "image_url" else "a document"
        message["content"] = message["content"] or f"({kind}, which follows)"
        media.insert(0, {"type": "text", "text": f"From tool result {number}:"})
    return message, media


def _result(block: Json, text: str) -> Json:
    """Return the chat message for a tool result with this text."""
    if block.get("is_error") is True:
        text = f"{FAILED} {text}".strip()
    return {"role": "tool", "tool_call_id": block["tool_use_id"], "content": text}


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
        case "container_upload":
            raise not_uploaded(path)
        case block_type:
            raise _unexpected(block_type, path, _USER_TYPES)


def _unexpected(block_type: str, path: str, expected: tuple[str, ...]) -> RequestError:
    return RequestError(
        f"{path}: Input tag {block_type!r} is not one of {', '.join(expected)}.",
        param=f"{path}.type",
        code="invalid_value",
    )


def _image(source: Any, path: str) -> Json:
    match source:
        case {"type": "base64", "media_type": str(media_type), "data": str(data)}:
            url = f"data:{media_type};base64,{data}"
        case {"type": "url", "url": str(url)} if url.startswith("data:"):
            pass
        case _:
            raise not_fetched("image", source, path)
    return {"type": "image_url", "image_url": {"url": url}}


def _document(block: Json, path: str, unique_notes: set[str]) -> Iterator[Json]:
    """Yield the chat parts of a document: a PDF, or text and images between ``<document>`` tags."""
    if isinstance(block.get("context"), str) and block["context"]:
        yield {"type": "text", "text": about_document(block["context"])}
    citations = block.get("citations")
    if isinstance(citations, dict) and citations.get("enabled"):
        unique_notes.add(f"dropped citations from documents: {_NO_EQUIVALENT}")
    title = f' title="{block["title"]}"' if isinstance(block.get("title"), str) else ""
    match block["source"]:
        case {"type": "base64", "data": str(data)}:
            yield file_part(data, block.get("title"), f"{path}.source.data")
        case {"type": "text", "data": str(text)} | {"type": "content", "content": str(text)}:
            yield {"type": "text", "text": as_text(text, block.get("title"))}
        case {"type": "content", "content": [*blocks]}:
            yield {"type": "text", "text": f"<document{title}>"}
            for i, inner in enumerate(blocks):
                yield from _parts(inner, f"{path}.source.content[{i}]", unique_notes)
            yield {"type": "text", "text": "</document>"}
        case source:
            raise not_fetched("document", source, path)


def _search_result(block: Json) -> str:
    """Return the title, source and text parts of a search result, one per line."""
    content = block.get("content")
    inner = content if isinstance(content, list) else []
    texts = [part.get("text") for part in inner if isinstance(part, dict)]
    lines = [block.get("title"), block.get("source"), *texts]
    return "\n".join(line for line in lines if isinstance(line, str))
