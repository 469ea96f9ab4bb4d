"""Removes or changes parts of a client's messages that Copilot's Messages API does not support."""

from collections.abc import Collection
from typing import Any, Final

from copilot_proxy.errors import RequestError
from copilot_proxy.formats.documents import about_document, as_text, read_document
from copilot_proxy.formats.images import image_hint
from copilot_proxy.formats.messages.encrypted_reasoning import claude_signature
from copilot_proxy.formats.messages.server_blocks import SERVER_BLOCKS, changed_note, replacements
from copilot_proxy.formats.types import Json, MessagesRequest

_SIGNATURES: Final = {"thinking": "signature", "redacted_thinking": "data"}
"""Block type -> the field with the signature or the redacted thinking."""
_FAILED: Final = "The tool failed."
"""The content for a failed result that has none. Claude would refuse a failed result without
content."""
PLACEHOLDER: Final = "Thinking..."
"""The text that some clients store as thinking if the model showed none."""


def clean_messages(body: MessagesRequest, notes: list[str]) -> int:
    """Remove or change anything in `body["messages"]` that Copilot does not support; messages and
    blocks are copied first.

    Returns the number of system messages moved from the start of the conversation to the system
    prompt. Raises `RequestError` for images and documents that Copilot would have to fetch.
    """
    unique_notes: set[str] = set()
    messages = [message.copy() for message in body["messages"]]
    for i, message in enumerate(messages):
        if isinstance(message["content"], list):
            message["content"] = _content(
                message["content"], f"messages[{i}].content", unique_notes
            )
    body["messages"] = messages
    notes += sorted(unique_notes)
    return _merge_leading_system(body, messages)


def drop_empty_results(message: Json) -> None:
    """Remove blank content from tool results, since Claude refuses it. `message` must be a copy."""
    for block in message["content"]:
        if block["type"] == "tool_result":
            drop_empty_content(block)


def drop_empty_content(result: Json) -> None:
    """Remove the content of a result if it is blank, like that of a command without output."""
    content = result.get("content")
    if content and not (isinstance(content, str) and content.isspace()):
        return
    result.pop("content", None)
    if result.get("is_error") is True:
        result["content"] = _FAILED


def thinking_signatures(request: MessagesRequest) -> list[str]:
    """Return the signatures of the thinking blocks in a client's request."""
    contents = [message["content"] for message in request["messages"]]
    blocks = [block for content in contents if isinstance(content, list) for block in content]
    return [signature for block in blocks if isinstance(signature := _signature(block), str)]


def without_thinking(request: MessagesRequest, signatures: Collection[str]) -> MessagesRequest:
    """Return a client's request without the thinking blocks that have any of `signatures`."""
    messages = []
    for message in request["messages"]:
        content = message["content"]
        if isinstance(content, list):
            kept = [block for block in content if _signature(block) not in signatures]
            if not kept and content:
                continue  # it contained only thinking
            message = {**message, "content": kept}
        messages.append(message)
    return {**request, "messages": messages}


def _signature(block: Json) -> Any:
    return block.get(_SIGNATURES.get(block["type"], ""))


def _merge_leading_system(body: MessagesRequest, messages: list[Json]) -> int:
    """Move system messages at the start of the conversation to the end of the system prompt; return
    their number.

    Later system messages stay in place, which requires a beta (`betas`). At the front, they would
    take effect too early, and each new one would invalidate the entire prompt cache.
    """
    moved = 0
    while messages and messages[0]["role"] == "system":
        content = messages.pop(0)["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        system = body.get("system") or []
        system = [{"type": "text", "text": system}] if isinstance(system, str) else system
        body["system"] = [*system, *blocks]
        moved += 1
    return moved


def _content(content: list[Json], path: str, unique_notes: set[str]) -> list[Json]:
    kept: list[Json] = []
    for i, block in enumerate(content):
        if block["type"] in SERVER_BLOCKS:
            unique_notes.add(changed_note(block["type"]))
            kept += replacements(block)
            continue
        copy = _block(block, path, i, unique_notes)
        if copy is not None and copy["type"] == "document":
            kept += _document(copy, f"{path}[{i}]", unique_notes)
        elif copy is not None:
            kept.append(copy)
    return kept


def _document(block: Json, path: str, unique_notes: set[str]) -> list[Json]:
    """Return a document in a form that Copilot is known to accept.

    A document that consists of blocks is replaced by these blocks, between tags.
    """
    source = block["source"]
    if not isinstance(source, dict) or source.get("type") != "content":
        return [block]
    content = source.get("content")
    inner = content if isinstance(content, list) else [{"type": "text", "text": content}]
    blocks = _content(inner, f"{path}.source.content", unique_notes)
    unique_notes.add("changed documents of the type 'content' to text: Copilot may not accept them")
    start, _, end = as_text("", block.get("title")).rpartition("\n\n")
    if isinstance(context := block.get("context"), str) and context:
        start = f"{about_document(context)}\n{start}"
    mark = {"cache_control": block["cache_control"]} if "cache_control" in block else {}
    return [{"type": "text", "text": start}, *blocks, {"type": "text", "text": end, **mark}]


def _block(block: Json, path: str, index: int, unique_notes: set[str]) -> Json | None:
    """Return a copy of the block in a form that Copilot accepts, or None to drop it.

    The block is at `index` in the list at `path`.
    """
    # Clients send the blocks of a response back with all fields of their SDK, many of which are
    # null.
    if None in block.values():
        block = {name: value for name, value in block.items() if value is not None}
    else:
        block = block.copy()
    match block["type"]:
        case "tool_use" | "text":
            pass
        case "thinking":
            return _thinking(block, unique_notes)
        case "redacted_thinking":
            data = claude_signature(block.get("data"))
            return {**block, "data": data} if data else None
        case "image" | "document":
            _check_source(block, f"{path}[{index}]")
            _read_text(block, f"{path}[{index}]")
        case "tool_result":
            if isinstance(block.get("content"), list):
                path = f"{path}[{index}].content"
                block["content"] = _content(block["content"], path, unique_notes)
        case "container_upload":
            raise not_uploaded(f"{path}[{index}]")
    return block


def _thinking(block: Json, unique_notes: set[str]) -> Json | None:
    signature = claude_signature(block.get("signature"))
    if signature is None:
        unique_notes.add("dropped thinking blocks: they are not signed by Claude")
        return None
    # Models that hide their thinking still need the block back: its signature contains the
    # thinking.
    text = block.get("thinking") or ""
    return {**block, "thinking": "" if text == PLACEHOLDER else text, "signature": signature}


def _check_source(block: Json, path: str) -> None:
    source = block["source"]
    source_type = source.get("type") if isinstance(source, dict) else None
    if source_type in ("url", "file"):
        raise not_fetched(block["type"], source, path)


def not_fetched(block_type: str, source: object, path: str) -> RequestError:
    """Return the error for an image or document at `path` whose data is not in its `source`."""
    return RequestError(
        f"Copilot does not fetch {block_type}s from URLs or from Anthropic's Files API.",
        param=f"{path}.source",
        code="unsupported_value",
        hint=image_hint(
            "Send the data itself, in a source of type base64",
            source.get("url") if isinstance(source, dict) else None,
        ),
    )


def not_uploaded(path: str) -> RequestError:
    """Return the error for a reference, at `path`, to a file that was uploaded to a container."""
    return RequestError(
        "Copilot has no containers, so it cannot read files that were uploaded to one.",
        param=path,
        code="unsupported_value",
        hint="Send the file's content as a document or text.",
    )


def _read_text(block: Json, path: str) -> None:
    """Convert a text file's base64 source to the type ``text``; only PDFs may be in base64."""
    match block["source"]:
        case {"type": "base64", "data": str(data)} if block["type"] == "document":
            text = read_document(data, f"{path}.source.data", whole=False).text
            if text is not None:
                block["source"] = {"type": "text", "media_type": "text/plain", "data": text}
