"""Splits a request to Copilot into the blocks of its prompt, in the order in which they are cached.

Providers cache a prompt from its start up to some point, so the first block that differs from the
previous request determines how much can be read from the cache. The tools come first, then the
system prompt, then the conversation (Anthropic's documentation of prompt caching; OpenAI's
cookbook, Prompt Caching 201).
"""

from collections.abc import Callable, Iterator, Mapping, Set
from functools import cache
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import UNSET

from copilot_proxy.formats.types import Json

_MARKS: Final = frozenset({"cache_control", "copilot_cache_control", "prompt_cache_breakpoint"})
"""Fields that mark the ends of cached parts. They move with each request, and do not belong to the
prompt itself."""
_MARK_ENDS: Final = (b'cache_control":', b'prompt_cache_breakpoint":')
"""How the names of marks end in JSON. In a string, the quotation mark would be escaped."""
_UNCACHED: Final = _MARKS | {"id", "status", "timestamp"}
"""Fields of messages and items that the model does not see."""
_UNCACHED_OF_ROLES: Final = _UNCACHED | {"role", "content", "type"}
"""The fields that are left out of a message with a role. Its content becomes separate blocks."""
FILE_SIZE: Final = 6400
"""The size assumed for an image or document, in bytes. The actual size says little about the number
of tokens."""
_FILE_START: Final = 400
"""The number of bytes at the start of a block that are searched to see whether it contains a
file."""

_encode: Final = msgspec.json.Encoder(order="sorted").encode
"""Sorted, because the order of fields is meaningless and depends on how a request was parsed."""


Place = tuple[str, int, str]
"""Where a block is in its prompt: its kind (``tool``, ``system``, ``settings`` or ``message``), its
position among blocks of its kind, counted from 1, and its name.

The parts of a message share a position. Only tools have a name; other blocks have ""
instead. Creating named tuples would take a third of the time needed for the blocks of a long
conversation.
"""
Blocks = Iterator[tuple[Place, bytes]]
"""The parts of a prompt that are cached as units, with their data.

They are created one at a time. Each is then still in the processor's cache when it is used, and its
memory is reused for the next.
"""


def size_of(data: bytes) -> int:
    """Return a measure of how many tokens a block's data has, for comparison with other blocks."""
    size = len(data)
    is_file = size > FILE_SIZE and data.find(b"base64", 0, _FILE_START) >= 0
    return FILE_SIZE if is_file else size


def blocks(api: str, body: Mapping[str, Any]) -> Blocks:
    """Return the blocks of a request body for the Copilot API named `api`."""
    cut = _APIS.get(api)
    return cut(body) if cut is not None else iter(())


def needs_marks(api: str) -> bool:
    """Return whether the Copilot API named `api` only caches prompts that have marks."""
    return api == "messages"


def _chat_completions(body: Mapping[str, Any]) -> Blocks:
    yield from _tools(body.get("tools"))
    yield from _conversation(body.get("messages") or [])


def _responses(body: Mapping[str, Any]) -> Blocks:
    given = body.get("input")
    items = given if isinstance(given, list) else [{"role": "user", "content": given}]
    if instructions := body.get("instructions"):
        items = [{"role": "system", "content": instructions}, *items]
    yield from _tools(body.get("tools"))
    yield from _conversation(items)


def _anthropic_messages(body: Mapping[str, Any]) -> Blocks:
    yield from _tools(body.get("tools"))
    for number, part in enumerate(_listed(body.get("system")), 1):
        yield ("system", number, ""), _part(part)
    # If one of these changes, Claude processes the conversation again, but not the system prompt.
    settings = [body[name] for name in ("tool_choice", "thinking") if body.get(name) is not None]
    if settings:
        yield ("settings", 1, ""), _data(settings)
    yield from _messages(body.get("messages") or [])


def _pi_ai(body: Mapping[str, Any]) -> Blocks:
    context = body.get("context") or {}
    yield from _tools(context.get("tools"))
    if system := context.get("systemPrompt"):
        yield ("system", 1, ""), _data(system)
    yield from _messages(context.get("messages") or [])


_APIS: Final[Mapping[str, Callable[[Mapping[str, Any]], Blocks]]] = {
    "chat_completions": _chat_completions,
    "responses": _responses,
    "messages": _anthropic_messages,
    "pi_ai": _pi_ai,
}


def _tools(tools: Any) -> Blocks:
    for number, tool in enumerate(tools or (), 1):
        name = tool.get("name") or (tool.get("function") or {}).get("name") or tool.get("type")
        yield ("tool", number, str(name)), _data(tool)


def _conversation(messages: list[Any]) -> Blocks:
    """Return the blocks of `messages`, which begin with the system prompt."""
    first = 0
    while first < len(messages) and _role(messages[first]) in ("system", "developer"):
        message = messages[first]
        content = message.get("content") if type(message) is dict else message.content
        for part in _listed(content):
            yield ("system", first + 1, ""), _part(part)
        first += 1
    yield from _messages(messages[first:])


def _role(message: Any) -> Any:
    if type(message) is dict:
        return message.get("role")
    kind: Any = type(message)
    return _layout(kind).role or message.role


def _messages(messages: list[Any]) -> Blocks:
    for number, message in enumerate(messages, 1):
        place = ("message", number, "")
        parts, data = _parts(message) if type(message) is dict else _plain_parts(message)
        if data and len(parts) == 1:  # such as a call's result and its id
            yield place, _part(parts[0]) + data
            continue
        for part in parts:
            yield place, _part(part)
        if data:
            yield place, data


def _parts(message: Json) -> tuple[list[Any], bytes]:
    """Return the parts of a message's content, and its other fields as bytes."""
    if message.get("role"):
        others = sorted(message.keys() - _UNCACHED_OF_ROLES) if len(message) > 2 else ()
        given = [(name, message[name]) for name in others if message[name] is not None]
        data = b"".join([name.encode() + _data(value) for name, value in given])
        return _listed(message.get("content")), data
    is_clean = None not in message.values() and _UNCACHED.isdisjoint(message)
    return [], _data(message if is_clean else _without(message, _UNCACHED))


class _Layout(NamedTuple):
    """The fields of one type of struct; see `plain_turns`. Structs never contain marks."""

    role: str | None
    """The role of all messages of this type; None if the role is a field."""
    uncached: tuple[str, ...]
    """The fields that the model does not see."""
    others: tuple[tuple[str, bytes], ...]
    """The fields that belong to a message with a role, except its content; sorted. Each name is
    also given as bytes."""


@cache
def _layout(kind: Any) -> _Layout:
    config, fields = kind.__struct_config__, kind.__struct_fields__
    return _Layout(
        config.tag if config.tag_field == "role" else None,
        tuple([name for name in fields if name in _UNCACHED]),
        tuple([(name, name.encode()) for name in sorted({*fields} - _UNCACHED_OF_ROLES)]),
    )


def _plain_parts(message: Any) -> tuple[list[Any], bytes]:
    """Like `_parts`, but for a struct. Returns the same bytes as for the decoded JSON."""
    kind: Any = type(message)
    role, uncached, others = _layout(kind)
    if role or message.role:
        content, data = message.content, b""
        for name, name_bytes in others:
            value = getattr(message, name)
            if value is not None and value is not UNSET:
                data += name_bytes + _encode(value)
        return content if type(content) is list else _listed(content), data
    for name in uncached:
        if getattr(message, name) is not UNSET:
            return [], _encode(_without(msgspec.to_builtins(message), _UNCACHED))
    return [], _encode(message)


def _without(message: Json, names: Set[str]) -> Json:
    return {
        name: value for name, value in message.items() if value is not None and name not in names
    }


def _listed(content: Any) -> list[Any]:
    """Return the parts of a message's content. Text is one part, whether the client sends it as a
    string or in a list."""
    return content if isinstance(content, list) else [] if content is None else [content]


def _part(part: Any) -> bytes:
    """Return a part of a message as bytes. The role, and additions to text such as citations, are
    left out, because prompts never differ only in those."""
    kind = type(part)
    if kind is str:
        text = part
    else:
        text = part.get("text") if kind is dict else getattr(part, "text", None)
    return text.encode("utf-8", "surrogatepass") if type(text) is str else _data(part)


def _data(value: Any) -> bytes:
    """Return `value` as JSON, without cache marks."""
    data = _encode(value)
    kind = type(value)
    # Most parts do not contain other parts, so their JSON does not have to be searched for marks.
    if kind is dict:
        may_be_marked = not _MARKS.isdisjoint(value) or _has_parts(value)
    else:
        may_be_marked = kind is list
    if may_be_marked and any(end in data for end in _MARK_ENDS):
        return _encode(_unmarked(value))
    return data


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
