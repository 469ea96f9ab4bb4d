"""Validation of the tool calls and results in a conversation: ids, arguments and order."""

from __future__ import annotations

import json
import re
from collections.abc import Collection

from .refusal import Refusal, copilot, invalid
from .types import Block, ChatMessage

CLAUDE_ID = re.compile(r"[a-zA-Z0-9_-]+")
MAX_CHAT_ID = 40
"""Maximum length of an id in chat completions requests, for OpenAI's models."""
MAX_CALL_ID = 64
"""Maximum length of an id in Responses requests."""
MAX_CALLS = 128
"""Maximum number of calls in a message of a chat completions request, for all vendors."""


def bad_id_message(path: str) -> str:
    """Return Claude's error message for an id with invalid characters."""
    return f"{path}: String should match pattern '^[a-zA-Z0-9_-]+$'"


def too_long(path: str, text: str, limit: int) -> Refusal:
    """Return the error that OpenAI's models send for an id that is too long."""
    return copilot(
        400,
        f"Invalid '{path}': string too long. Expected a string with maximum length {limit}, "
        f"but got a string with length {len(text)} instead.",
        "string_above_max_length",
        param=path,
    )


def check_chat(messages: list[ChatMessage], kind: str) -> None:
    """Raise a 400 for tool calls that the vendor `kind` does not accept."""
    if kind == "claude":
        _claude_ids(messages)
    elif kind == "azure":
        _openai_ids(messages)
    for number, message in enumerate(messages):
        count = len(message.get("tool_calls") or [])
        if count > MAX_CALLS:
            raise copilot(
                400,
                f"Invalid 'messages[{number}].tool_calls': array too long. Expected an array with "
                f"maximum length {MAX_CALLS}, but got an array with length {count} instead.",
                "invalid_request_body",
            )
        if message["role"] == "tool":
            _id(message["tool_call_id"], f"messages[{number}].tool_call_id", number, kind)
        for index, call in enumerate(message.get("tool_calls") or []):
            _id(call["id"], f"messages[{number}].tool_calls[{index}].id", number, kind)
            _arguments(call["function"].get("arguments", ""), number, index, kind)


def _claude_ids(messages: list[ChatMessage]) -> None:
    """Check that no two calls in the conversation have the same id."""
    earlier: set[str] = set()
    for number, message in enumerate(messages):
        ids = [call["id"] for call in message.get("tool_calls") or []]
        index = repeated(ids, earlier)
        if index is not None:
            raise invalid(f"messages.{number}.content.{index}: `tool_use` ids must be unique")
        earlier.update(ids)


def _openai_ids(messages: list[ChatMessage]) -> None:
    """Check that the ids in each run of consecutive results are unique."""
    seen: dict[str, int] = {}
    for number, message in enumerate(messages):
        if message["role"] != "tool":
            seen = {}
            continue
        given = message["tool_call_id"]
        if given in seen:
            raise invalid(
                f"Invalid parameter: Duplicate value for 'tool_call_id' of '{given}', in "
                f"messages[{seen[given]}] and messages[{number}]."
            )
        seen[given] = number


def repeated(ids: list[str], earlier: Collection[str]) -> int | None:
    """Return the index of the first id that is in `earlier` or repeats a previous id, or None."""
    for index, one in enumerate(ids):
        if one in earlier or one in ids[:index]:
            return index
    return None


def _id(given: str, path: str, number: int, kind: str) -> None:
    if kind == "azure" and len(given) > MAX_CHAT_ID:
        raise too_long(path, given, MAX_CHAT_ID)
    if kind == "claude" and not CLAUDE_ID.fullmatch(given):
        raise invalid(bad_id_message(f"messages.{number}.content.0.tool_use.id"))


def _arguments(text: str, number: int, index: int, kind: str) -> None:
    try:
        value = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        raise invalid(f"messages.{number}.tool_calls: arguments are not valid JSON") from None
    if kind in ("claude", "gemini") and not isinstance(value, dict):
        path = f"messages.{number}.content.{index}.tool_use.input"
        raise invalid(f"{path}: Input should be a valid dictionary")


def tool_result_error(number: int, found: list[Block], calls: list[str]) -> str | None:
    """Return Claude's error for the blocks that follow `calls`, or None if they are valid."""
    kinds = [block["type"] for block in found]
    results = [block["tool_use_id"] for block in found if block["type"] == "tool_result"]
    if "tool_result" in kinds and kinds != sorted(kinds, key=lambda kind: kind != "tool_result"):
        return (
            f"messages.{number - 1}: `tool_use` ids were found without `tool_result` blocks "
            f"immediately after: {', '.join(calls)}. Each `tool_use` block must have a "
            "corresponding `tool_result` block in the next message."
        )
    if twice := next((one for one in results if results.count(one) > 1), None):
        return (
            f"messages.{number}: each tool_use must have a single result. Found multiple "
            f"`tool_result` blocks with id: {twice}"
        )
    return None
