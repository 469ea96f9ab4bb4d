"""Reads a client's request: is it one, who speaks last in it, and does it hold an image.

Refusals are `RequestError` and name the field: ``messages[0].content[1].text``.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from copilot_proxy import headers
from copilot_proxy.errors import RequestError
from copilot_proxy.formats.chat_completions.request import MAX_TOOLS, check_shape, parse_object
from copilot_proxy.formats.messages.schema import Block, CountTokensRequest, Json, MessagesRequest
from copilot_proxy.headers import Initiator, Turn

_NEEDED: Final[Mapping[str, tuple[str, ...]]] = {
    "text": ("text",),
    "image": ("source",),
    "document": ("source",),
    "tool_use": ("id", "name"),
    "tool_result": ("tool_use_id",),
}
"""The fields without which a block of that type cannot be read."""


def parse_request(body: bytes, *, counting: bool = False) -> Json:
    """The decoded request, checked against the schema, with all the fields it came with.

    With `counting` it is one for counting tokens, which has no ``max_tokens``. Raises
    `RequestError`.
    """
    request = parse_object(body)
    check_shape(request, CountTokensRequest if counting else MessagesRequest)
    if not request["model"]:
        raise _wrong("model", "The model's name is empty.")
    if not request["messages"]:
        raise _wrong("messages", "At least one message is needed.")
    if not counting and request["max_tokens"] < 1:
        raise _wrong("max_tokens", "`max_tokens` must be at least 1.")
    for i, message in enumerate(request["messages"]):
        _check_blocks(message["content"], f"messages[{i}].content")
    _check_tools(request.get("tools") or [])
    return request


def is_own_tool(tool: Json) -> bool:
    """Whether the client itself describes and runs the tool, as opposed to one of Anthropic's."""
    return tool.get("type") in (None, "custom")


def thinks(request: Json) -> bool:
    """Whether the request switches thinking on."""
    thinking = request.get("thinking")
    return isinstance(thinking, dict) and thinking.get("type") in ("enabled", "adaptive")


def _check_tools(tools: list[Json]) -> None:
    own = [(i, tool) for i, tool in enumerate(tools) if is_own_tool(tool)]
    for i, tool in own:
        if not tool.get("name"):
            raise _missing(f"tools[{i}].name")
    if len(own) > MAX_TOOLS:
        raise _wrong(
            "tools",
            f"Copilot takes at most {MAX_TOOLS} tools, and the request has {len(own)}.",
            code="array_above_max_length",
            hint="Turn some of the client's tools or MCP servers off.",
        )


def _check_blocks(content: Any, path: str) -> None:
    if not isinstance(content, list):
        return
    for i, block in enumerate(content):
        kind = block["type"]
        for name in _NEEDED.get(kind, ()):
            if block.get(name) is None:
                raise _missing(f"{path}[{i}].{name}")
        if kind == "tool_result":
            _check_result(block.get("content"), f"{path}[{i}].content")


def _check_result(content: Any, path: str) -> None:
    if content is None or isinstance(content, str):
        return
    try:
        msgspec.convert(content, list[Block])
    except msgspec.ValidationError:
        raise _wrong(
            path, f"Invalid '{path}': expected a text or a list of blocks.", code="invalid_type"
        ) from None
    _check_blocks(content, path)


def _missing(path: str) -> RequestError:
    return _wrong(path, f"Missing required parameter: '{path}'.", code="missing_required_parameter")


def _wrong(
    param: str, message: str, *, code: str | None = None, hint: str | None = None
) -> RequestError:
    return RequestError(message, param=param, code=code, hint=hint)


def initiator(request: Json) -> Initiator:
    """Who asked, by the rule of `headers.initiator`."""
    return headers.initiator(map(_turn, reversed(request["messages"])))


def _turn(message: Json) -> Turn | None:
    content = message["content"]
    if message["role"] != "user":
        return None if message["role"] == "system" else "agent"
    if isinstance(content, str):
        return headers.user_turn(content)
    words = [block for block in content if not block["type"].endswith("tool_result")]
    turn = headers.user_turn(words)
    return "results" if turn == "aside" and len(words) < len(content) else turn


def count_images(request: Json) -> int:
    """How many images the messages hold, however old, also inside results and documents."""
    count = 0
    pending: list[Any] = [request["messages"]]
    while pending:
        item = pending.pop()
        if isinstance(item, list):
            pending += item
        elif isinstance(item, dict):
            if item.get("type") == "image":
                count += 1
            else:
                pending += [item.get("content"), item.get("source")]
    return count
