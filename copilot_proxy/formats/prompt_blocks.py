"""Splits a request to Copilot into the blocks of its prompt, in the order in which they are cached.

Providers cache a prompt from its start up to some point, so the first block that differs from the
last request determines how much can be read. The tools come first, then the system prompt, then the
conversation (Anthropic's documentation of prompt caching; OpenAI's cookbook, Prompt Caching 201).
"""

from collections.abc import Callable, Mapping, Set
from typing import Any, Final

import msgspec

from copilot_proxy.formats.plain_turns import expanded
from copilot_proxy.formats.types import Json

_MARKS: Final = frozenset({"cache_control", "copilot_cache_control", "prompt_cache_breakpoint"})
"""Fields that mark the ends of cached parts. They move with each request, and do not belong to the
prompt itself."""
_MARK_ENDS: Final = (b'cache_control":', b'prompt_cache_breakpoint":')
"""How the names of marks end in JSON. In a text, the quotation mark would be escaped."""
_UNCACHED: Final = _MARKS | {"id", "status", "timestamp"}
"""Fields of messages and items that the model does not see."""
_UNCACHED_OF_ROLES: Final = _UNCACHED | {"role", "content", "type"}
"""The excluded fields of a message with a role, whose content is a separate block."""
_FILE_SIZE: Final = 6400
"""The size assumed for an image or document, whose data size says little about its tokens."""
_FILE_START: Final = 400
"""How many bytes at the start of a block show whether it contains a file."""

_encode: Final = msgspec.json.Encoder(order="sorted").encode
"""Sorted, because the order of fields depends on how a request was parsed, and is meaningless."""


Block = tuple[str, int, str, bytes]
"""A part of a prompt that is cached as a unit: its kind (``tool``, ``system``, ``settings`` or
``message``), its position among blocks of its kind, counted from 1, its name, and its data.

The parts of a message share a position. Only tools have a name; other blocks have ""
instead. Creating named tuples would take a third of the time needed for the blocks of a long
conversation.
"""


def size_of(data: bytes) -> int:
    """Return a measure of the tokens in a block's data, relative to those of other blocks."""
    size = len(data)
    is_file = size > _FILE_SIZE and data.find(b"base64", 0, _FILE_START) >= 0
    return _FILE_SIZE if is_file else size


def blocks(api: str, body: Mapping[str, Any]) -> list[Block]:
    """Return the blocks of a request body for the Copilot API named `api`."""
    cut = _APIS.get(api)
    return cut(expanded(body)) if cut is not None else []


def needs_marks(api: str) -> bool:
    """Return whether the Copilot API named `api` only caches prompts with marks."""
    return api == "messages"


def _chat_completions(body: Mapping[str, Any]) -> list[Block]:
    return [*_tools(body.get("tools")), *_conversation(body.get("messages") or [])]


def _responses(body: Mapping[str, Any]) -> list[Block]:
    given = body.get("input")
    items = given if isinstance(given, list) else [{"role": "user", "content": given}]
    if instructions := body.get("instructions"):
        items = [{"role": "system", "content": instructions}, *items]
    return [*_tools(body.get("tools")), *_conversation(items)]


def _anthropic_messages(body: Mapping[str, Any]) -> list[Block]:
    found = _tools(body.get("tools"))
    for number, part in enumerate(_listed(body.get("system")), 1):
        found.append(("system", number, "", _part(part)))
    # If one of these changes, Claude processes the conversation again, but not the system prompt.
    settings = [body[name] for name in ("tool_choice", "thinking") if body.get(name) is not None]
    if settings:
        found.append(("settings", 1, "", _data(settings)))
    return [*found, *_messages(body.get("messages") or [])]


def _pi_ai(body: Mapping[str, Any]) -> list[Block]:
    context = body.get("context") or {}
    found = _tools(context.get("tools"))
    if system := context.get("systemPrompt"):
        found.append(("system", 1, "", _data(system)))
    return [*found, *_messages(context.get("messages") or [])]


_APIS: Final[Mapping[str, Callable[[Mapping[str, Any]], list[Block]]]] = {
    "chat_completions": _chat_completions,
    "responses": _responses,
    "messages": _anthropic_messages,
    "pi_ai": _pi_ai,
}


def _tools(tools: Any) -> list[Block]:
    found = []
    for number, tool in enumerate(tools or (), 1):
        name = tool.get("name") or (tool.get("function") or {}).get("name") or tool.get("type")
        found.append(("tool", number, str(name), _data(tool)))
    return found


def _conversation(messages: list[Json]) -> list[Block]:
    """Return the blocks of messages that start with the system prompt."""
    found = []
    first = 0
    while first < len(messages) and messages[first].get("role") in ("system", "developer"):
        for part in _listed(messages[first].get("content")):
            found.append(("system", first + 1, "", _part(part)))
        first += 1
    return [*found, *_messages(messages[first:])]


def _messages(messages: list[Json]) -> list[Block]:
    found: list[Block] = []
    for number, message in enumerate(messages, 1):
        rest = message
        if message.get("role"):
            content = message.get("content")
            for part in content if isinstance(content, list) else _listed(content):
                found.append(("message", number, "", _part(part)))
            if len(message) == 2:  # only a role and content
                continue
            rest = _without(message, _UNCACHED_OF_ROLES)
        elif None in message.values() or not _UNCACHED.isdisjoint(message):
            rest = _without(message, _UNCACHED)
        if rest:
            found.append(("message", number, "", _data(rest)))
    return found


def _without(message: Json, names: Set[str]) -> Json:
    return {
        name: value for name, value in message.items() if value is not None and name not in names
    }


def _listed(content: Any) -> list[Any]:
    """Return the parts of a message's content. A text is one part, whether the client sends it as a
    string or in a list."""
    return content if isinstance(content, list) else [] if content is None else [content]


def _part(part: Any) -> bytes:
    """Return a part of a message, without its role and without additions to a text, such as
    citations, because prompts never differ only in those."""
    if isinstance(part, str):
        return part.encode("utf-8", "surrogatepass")
    if isinstance(text := part.get("text"), str):
        return text.encode("utf-8", "surrogatepass")
    return _data(part)


def _data(value: Any) -> bytes:
    """Return `value` as JSON, without cache marks."""
    data = _encode(value)
    # Most parts do not contain other parts, so their JSON does not have to be searched for marks.
    is_marked = (type(value) is not dict or not _MARKS.isdisjoint(value) or _has_parts(value)) and (
        _MARK_ENDS[0] in data or _MARK_ENDS[1] in data
    )
    return _encode(_unmarked(value)) if is_marked else data


def _has_parts(value: Mapping[str, Any]) -> bool:
    return (
        type(value.get("content")) is list
        or type(value.get("output")) is list
        or "source" in value
        or "function" in value
    )


def _unmarked(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _unmarked(one) for name, one in value.items() if name not in _MARKS}
    if isinstance(value, list | tuple):
        return [_unmarked(one) for one in value]
    return value
