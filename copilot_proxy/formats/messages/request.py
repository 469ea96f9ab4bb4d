"""Parses and validates a client's request, finds its initiator, and counts its images."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from copilot_proxy.errors import RequestError
from copilot_proxy.formats import documents, images
from copilot_proxy.formats.empty_values import drop_empty
from copilot_proxy.formats.initiator import TurnKind, initiator_of, user_turn
from copilot_proxy.formats.messages import schema
from copilot_proxy.formats.messages.plain_messages import PLAIN
from copilot_proxy.formats.plain_turns import PlainTurns, newest_first
from copilot_proxy.formats.request_fields import refuse_fields
from copilot_proxy.formats.request_json import parse_object
from copilot_proxy.formats.schema_check import check_shape
from copilot_proxy.formats.stringified_results import unpack_results
from copilot_proxy.formats.tool_checks import check_tool_count, no_tools
from copilot_proxy.formats.types import Json, MessagesRequest
from copilot_proxy.formats.wrong_api import check_part, is_foreign_part, read_request
from copilot_proxy.headers import Initiator

_CLIENT_RUN: Final = re.compile(r"(?:bash|text_editor|computer|memory)_\d")
"""The types of tools that Anthropic defines and clients run; agents do not work without them."""
TOOL_CHOICES: Final = ("auto", "any", "tool", "none", "validated")
"""The types of tool choices. ``validated`` is not Anthropic's; GitHub's clients use it for
Gemini."""
_THINKING_TYPES: Final = ("enabled", "disabled", "adaptive")
_DISPLAYS: Final = ("summarized", "omitted", "updates")
"""How thinking can be shown. Claude Code requests ``updates``, which requires a beta, if its output
is streamed JSON."""
_REQUIRED_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "text": ("text",),
    "image": ("source",),
    "document": ("source",),
    "tool_use": ("id", "name"),
    "tool_result": ("tool_use_id",),
}
"""The fields that a block must have, by block type."""

_DOCUMENT_BLOCKS: Final = ("text", "image")
"""The types of blocks that a document can consist of."""

_ANY_MESSAGE: Final[Json] = {"role": "user", "content": ""}


def parse_request(body: bytes, *, counting: bool = False) -> MessagesRequest:
    """Decode a request and validate it against the schema; unknown fields are kept.

    With `counting`, the body is a request to count tokens, which needs no ``max_tokens``. Raises
    `RequestError` with the path of the field as its `param`, such as
    ``messages[0].content[1].text``.
    """
    request = parse_object(body, read_plain=None if counting else PLAIN.request)
    is_plain = isinstance(request.get("messages"), PlainTurns)
    drop_empty("messages", request)
    read_request("messages", request)
    if not is_plain:
        _add_empty_contents(request.get("messages"))
        unpack_results("messages", request)
    refuse_fields("messages", request, counting=counting)
    checked = {**request, "messages": [_ANY_MESSAGE]} if is_plain else request
    check_shape(checked, schema.CountTokensRequest if counting else schema.MessagesRequest)
    if not request["model"]:
        raise _error("model", "The model name is empty.")
    if not request["messages"]:
        raise _error("messages", "`messages` is empty: at least one message is required.")
    if not counting and request["max_tokens"] < 1:
        raise _error("max_tokens", "`max_tokens` must be at least 1.")
    if not is_plain:
        _check_messages(request["messages"])
    choice = request.get("tool_choice") or {}
    _check_tools(request.get("tools") or [], forced=choice.get("type") in ("any", "tool"))
    return request


def _add_empty_contents(messages: Any) -> None:
    """Add empty content to system messages that omit it because they only set the effort."""
    for message in messages if isinstance(messages, list) else ():
        is_system = isinstance(message, dict) and message.get("role") == "system"
        if is_system and message.get("output_config") and message.get("content") is None:
            message["content"] = []


def _check_messages(messages: list[Json]) -> None:
    contents = [message["content"] for message in messages]
    blocks = [block for content in contents if isinstance(content, list) for block in content]
    if not all(map(_is_plainly_valid, blocks)):
        for i, content in enumerate(contents):
            if isinstance(content, list):
                _check_blocks(content, f"messages[{i}].content")


def check_values(request: MessagesRequest) -> None:
    """Reject values that Claude would reject and other models would ignore.

    Raises `RequestError` with Anthropic's message.
    """
    output_format = (request.get("output_config") or {}).get("format")
    if output_format is not None and not is_schema_format(output_format):
        path = "output_config.format"
        raise _error(path, f"{path}: Input should have the type 'json_schema' and a schema")
    choice, thinking = request.get("tool_choice") or {}, request.get("thinking") or {}
    if choice and choice["type"] not in TOOL_CHOICES:
        raise _unexpected_tag("tool_choice", choice["type"], TOOL_CHOICES)
    if not thinking:
        return
    kind, display = thinking["type"], thinking.get("display")
    if kind not in _THINKING_TYPES:
        raise _unexpected_tag("thinking", kind, _THINKING_TYPES)
    if kind != "disabled" and display not in (None, *_DISPLAYS):
        path = f"thinking.{kind}.display"
        raise _error(path, f"{path}: Input should be 'summarized' or 'omitted'")


def is_schema_format(value: object) -> bool:
    """Return whether an output format is a JSON schema, the only format that Claude supports."""
    match value:
        case {"schema": dict(), **rest}:
            return rest.get("type", "json_schema") == "json_schema"
    return False


def _unexpected_tag(param: str, tag: str, expected: Sequence[str]) -> RequestError:
    return _error(
        param,
        f"{param}: Input tag {tag!r} found using 'type' does not match any of the expected tags: "
        f"{', '.join(map(repr, expected))}",
    )


def is_client_tool(tool: Json) -> bool:
    """Return whether the client defines the tool itself, rather than naming one of Anthropic's."""
    return tool.get("type") in (None, "custom")


def is_thinking_enabled(request: MessagesRequest) -> bool:
    """Return whether the request enables thinking."""
    thinking = request.get("thinking")
    return isinstance(thinking, dict) and thinking.get("type") in ("enabled", "adaptive")


def _check_tools(tools: list[Json], *, forced: bool) -> None:
    for i, tool in enumerate(tools):
        if _CLIENT_RUN.match(str(tool.get("type"))):
            raise _error(
                f"tools[{i}].type",
                f"Copilot does not support the tool {tool['type']!r}, which the client runs.",
                code="unsupported_value",
                hint="Define it as a custom tool, with a description and an input_schema.",
            )
    if not tools and forced:
        raise no_tools("tool_choice")
    client_tools = [(i, tool) for i, tool in enumerate(tools) if is_client_tool(tool)]
    for i, tool in client_tools:
        if not tool.get("name"):
            raise _missing(f"tools[{i}].name")
    check_tool_count(sum(not tool.get("defer_loading") for _, tool in client_tools))


def _is_plainly_valid(block: Json) -> bool:
    """Return whether a block is text, a call or a result that needs no further check."""
    kind = block["type"]
    if kind == "tool_result":
        return block.get("tool_use_id") is not None and isinstance(block.get("content"), str)
    if kind == "tool_use":
        return block.get("id") is not None and block.get("name") is not None
    return kind == "text" and block.get("text") is not None


def _check_blocks(content: list[Json], path: str) -> None:
    for i, block in enumerate(content):
        block_type = block["type"]
        if is_foreign_part("messages", block):
            check_part("messages", block, f"{path}[{i}]")
        for name in _REQUIRED_FIELDS.get(block_type, ()):
            if block.get(name) is None:
                raise _missing(f"{path}[{i}].{name}")
        if block_type == "document":
            source = documents.checked_source(block["source"], f"{path}[{i}].source")
            block["source"] = source
            if isinstance(source, dict) and source.get("type") == "content":
                _check_document(source.get("content"), f"{path}[{i}].source.content")
        if block_type == "image":
            block["source"] = images.checked_source(block["source"], f"{path}[{i}].source")
        if block_type == "tool_result":
            _check_inner(block.get("content"), f"{path}[{i}].content")


def _check_inner(content: Any, path: str) -> None:
    """Check the content of a tool result or document: a string, a list of blocks, or None."""
    if content is None or isinstance(content, str):
        return
    try:
        msgspec.convert(content, list[schema.Block])
    except msgspec.ValidationError:
        raise _error(
            path, f"Invalid '{path}': expected a string or a list of blocks.", code="invalid_type"
        ) from None
    _check_blocks(content, path)


def _check_document(content: Any, path: str) -> None:
    """Check the content of a document, which can consist of text and images."""
    _check_inner(content, path)
    for i, block in enumerate(content if isinstance(content, list) else ()):
        if block["type"] not in _DOCUMENT_BLOCKS:
            raise _unexpected_tag(f"{path}[{i}]", block["type"], _DOCUMENT_BLOCKS)


def _missing(path: str) -> RequestError:
    return _error(path, f"Missing required parameter: '{path}'.", code="missing_required_parameter")


def _error(
    param: str, message: str, *, code: str | None = None, hint: str | None = None
) -> RequestError:
    return RequestError(message, param=param, code=code, hint=hint)


def initiator(request: MessagesRequest) -> Initiator:
    """Return who caused the request; see `formats.initiator`."""
    return initiator_of(map(_turn, newest_first(request["messages"])))


def _turn(message: Json) -> TurnKind | None:
    content = message["content"]
    if message["role"] != "user":
        return None if message["role"] == "system" else "agent"
    if isinstance(content, str):
        return user_turn(content)
    words = [block for block in content if not block["type"].endswith("tool_result")]
    turn = user_turn(words)
    return "results" if turn == "aside" and len(words) < len(content) else turn


def count_images(request: MessagesRequest) -> int:
    """Return the number of images in all messages, including tool results and documents."""
    messages = request["messages"]
    if isinstance(messages, PlainTurns):
        return messages.images
    count = 0
    pending: list[Any] = [messages]
    for item in pending:
        if isinstance(item, list):
            pending += item
        elif isinstance(item, dict):
            if item.get("type") == "image":
                count += 1
                continue
            if not isinstance(content := item.get("content"), str):
                pending.append(content)
            if "source" in item:
                pending.append(item["source"])
    return count
