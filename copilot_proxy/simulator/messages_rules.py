"""Validation of Messages requests; errors are in Claude's own format or in GitHub's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from . import (
    catalogue,
    documents,
    history_rules,
    messages_betas,
    messages_thinking,
    messages_tools,
    shared_rules,
)
from .messages_betas import betas_of
from .messages_thinking import invalid_request
from .types import ClaudeMessage, Json, MessagesRequest, Model

if TYPE_CHECKING:
    from .call import Call

KNOWN = {
    "model", "messages", "max_tokens", "system", "stream", "stop_sequences", "temperature",
    "top_p", "top_k", "tools", "tool_choice", "thinking", "output_config", "metadata",
}  # fmt: skip
TYPES: dict[str, tuple[type, ...]] = {
    "model": (str,),
    "messages": (list,),
    "max_tokens": (int,),
    "system": (str, list),
    "stream": (bool,),
    "stop_sequences": (list,),
    "temperature": (int, float),
    "top_p": (int, float),
    "top_k": (int,),
    "tools": (list,),
    "tool_choice": (dict,),
    "thinking": (dict,),
    "output_config": (dict,),
    "metadata": (dict,),
}
BLOCKS = {
    "text", "image", "document", "tool_use", "tool_result", "thinking", "redacted_thinking",
    "search_result", "tool_reference",
}  # fmt: skip


def shape(body: Any, call: Call, *, counting: bool = False) -> MessagesRequest:
    """Return the body if it has the structure of a request. Raises a 400 otherwise."""
    if not isinstance(body, dict):
        raise invalid_request("The request body is not valid JSON.")
    betas = betas_of(call)
    for name in body:
        if name not in KNOWN and not (
            name == "context_management" and messages_betas.CONTEXT in betas
        ):
            raise invalid_request(f"{name}: Extra inputs are not permitted")
    shared_rules.typed(body, TYPES)
    if not counting and body.get("max_tokens") is None:
        raise invalid_request("max_tokens: Field required")
    if not counting and body["max_tokens"] < 1:
        raise invalid_request("max_tokens: Input should be greater than or equal to 1")
    if not body.get("messages"):
        raise invalid_request("messages: at least one message is required")
    if not all(isinstance(one, str) for one in body.get("stop_sequences") or []):
        raise invalid_request("stop_sequences: Input should be a valid string")
    for number, message in enumerate(body["messages"]):
        _message(number, message, betas)
    _system_positions(body["messages"])
    return body


def _message(number: int, message: Any, betas: set[str]) -> None:
    if not isinstance(message, dict) or not isinstance(message.get("content"), str | list):
        raise invalid_request(f"messages.{number}.content: Field required")
    roles = {"user", "assistant"} | ({"system"} if messages_betas.SYSTEM in betas else set())
    if str(message.get("role")) not in roles:
        raise invalid_request(f"messages.{number}.role: Input should be 'user' or 'assistant'")
    if message["content"] in ("", []) and not _only_configures(message):
        raise invalid_request("messages: text content blocks must be non-empty")
    for index, block in enumerate(blocks(message)):
        _block(f"messages.{number}.content.{index}", block)
        if message["role"] == "assistant" and block["type"] == "image":
            raise invalid_request(  # as quoted in public bug reports
                f"messages.{number}.content: 'image' blocks are not permitted within "
                "assistant turns."
            )


def _only_configures(message: ClaudeMessage) -> bool:
    return message["role"] == "system" and not message["content"] and "output_config" in message


def _system_positions(messages: list[ClaudeMessage]) -> None:
    """Check that a user message comes right before every system message, and none right after it.

    Consecutive system messages count as one. System messages without content may be anywhere.
    """
    counted = [(number, one) for number, one in enumerate(messages) if not _only_configures(one)]
    roles = [message["role"] for _, message in counted]
    for (number, _), role, before, after in zip(
        counted, roles, ["", *roles], [*roles[1:], "assistant"], strict=False
    ):
        if role == "system" and before == "":
            raise invalid_request(
                f"messages.{number}: use the top-level 'system' parameter for the initial system "
                "prompt"
            )
        if (before, role) == ("assistant", "system") or (role, after) == ("system", "user"):
            raise invalid_request(
                f"messages.{number}: role 'system' must follow a 'user' message, and must be the "
                "last message or precede an 'assistant' message"
            )


def _block(path: str, block: Any) -> None:
    if not isinstance(block, dict) or str(block.get("type")) not in BLOCKS:
        raise invalid_request(f"{path}: Input tag does not match any of the expected tags")
    kind = block["type"]
    if kind == "text":
        if not isinstance(block.get("text"), str):
            raise invalid_request(f"{path}.text: Field required")
        if not block["text"].strip():
            raise invalid_request("messages: text content blocks must be non-empty")
    if kind in ("image", "document") and not isinstance(block.get("source"), dict):
        raise invalid_request(f"{path}.{kind}.source: Field required")
    if kind == "tool_use" and not (
        isinstance(block.get("id"), str) and isinstance(block.get("input"), dict)
    ):
        raise invalid_request(f"{path}.tool_use.input: Input should be a valid dictionary")
    if kind == "tool_use" and not history_rules.CLAUDE_ID.fullmatch(block["id"]):
        raise invalid_request(history_rules.bad_id_message(f"{path}.tool_use.id"))
    if kind == "tool_result":
        if not isinstance(block.get("tool_use_id"), str):
            raise invalid_request(f"{path}.tool_result.tool_use_id: Field required")
        if not history_rules.CLAUDE_ID.fullmatch(block["tool_use_id"]):
            raise invalid_request(history_rules.bad_id_message(f"{path}.tool_result.tool_use_id"))
        if block.get("is_error") and not block.get("content"):
            raise invalid_request(
                f"{path}.tool_result: content cannot be empty if is_error is true"
            )
        for index, inner in enumerate(blocks(block)):
            _block(f"{path}.tool_result.content.{index}", inner)


def blocks(message: ClaudeMessage) -> list[Any]:
    """Return the blocks of a message or tool result, whose content may be a string."""
    content = message.get("content")
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return content if isinstance(content, list) else []


def check(body: MessagesRequest, model: Model, call: Call) -> None:
    """Raise a 400 for anything that the model or the API does not accept."""
    _images(body, model, call)
    betas = betas_of(call)
    messages_tools.check_cache_control(body, betas)
    _answered(body["messages"])
    if body["messages"][-1]["role"] == "assistant":
        raise invalid_request(
            "This model does not support assistant message prefill. "
            "The conversation must end with a user message."
        )
    messages_thinking.check(body, model, betas)
    messages_tools.check(body, model, betas)
    limit = catalogue.limit(model, "max_non_streaming_output_tokens")
    asked = body.get("max_tokens") or 0
    if not body.get("stream") and limit is not None and asked > limit:
        raise invalid_request(
            f"max_tokens: {asked} > {limit}, which is the maximum allowed number of output "
            f"tokens for {model['id']} without streaming"
        )


def sources(message: ClaudeMessage, kind: str = "image") -> Iterator[Json]:
    """Yield the sources of a message's images or documents, including those in tool results."""
    for block in blocks(message):
        if block["type"] == kind:
            yield block["source"]
        elif block["type"] == "tool_result":
            yield from sources(block, kind)


def _images(body: MessagesRequest, model: Model, call: Call) -> None:
    for message in body["messages"]:
        for source in sources(message, "document"):
            documents.check_source(source)
    found = [source for message in body["messages"] for source in sources(message)]
    urls = []
    for source in found:
        if source.get("type") == "url":
            urls.append(str(source.get("url")))
        else:
            urls.append(f"data:{source.get('media_type')};base64,{source.get('data', '')}")
    shared_rules.check_images(urls, model, call)


def _answered(messages: list[ClaudeMessage]) -> None:
    """Check that each tool_use has a result in the next message, and each result has a tool_use."""
    calls: list[str] = []
    earlier: set[str] = set()
    for number, message in enumerate(messages):
        results = [one["tool_use_id"] for one in blocks(message) if one["type"] == "tool_result"]
        missing = [one for one in calls if one not in results]
        if missing:
            raise invalid_request(
                f"messages.{number - 1}: `tool_use` ids were found without `tool_result` blocks "
                f"immediately after: {', '.join(missing)}. Each `tool_use` block must have a "
                "corresponding `tool_result` block in the next message."
            )
        if unknown := [one for one in results if one not in calls]:
            raise invalid_request(
                f"messages.{number}: unexpected `tool_use_id` found in `tool_result` blocks: "
                f"{unknown[0]}. Each `tool_result` block must have a corresponding `tool_use` "
                "block in the previous message."
            )
        if text := history_rules.tool_result_error(number, blocks(message), calls):
            raise invalid_request(text)
        calls = [one["id"] for one in blocks(message) if one["type"] == "tool_use"]
        index = history_rules.repeated(calls, earlier)
        if index is not None:
            path = f"messages.{number}.content.{index}"
            raise invalid_request(f"{path}: `tool_use` ids must be unique")
        earlier.update(calls)
    if calls and messages[-1]["role"] == "assistant":
        raise invalid_request(
            f"messages.{len(messages) - 1}: `tool_use` ids were found without `tool_result` "
            f"blocks immediately after: {', '.join(calls)}."
        )


def check_length(model: Model, count: int) -> None:
    """Raise a 400 for a prompt with more tokens than the model accepts."""
    limit = catalogue.limit(model, "max_prompt_tokens")
    if limit is not None and count > limit:
        raise invalid_request(f"prompt is too long: {count} tokens > {limit} maximum")
