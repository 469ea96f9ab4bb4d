"""Sets and limits the marks for Claude's prompt cache.

A mark (``cache_control``) puts the prompt, from its start to the end of the marked block, into the
cache. The order of the prompt is tools, system, messages. A later request with the same start reads
that part from the cache at a tenth of the price.
"""

from typing import Final

import msgspec

from copilot_proxy.formats.chat_completions.cache_control import unsupported_parts
from copilot_proxy.formats.plain_turns import PlainTurns, values_of
from copilot_proxy.formats.types import Json, MessagesRequest

MARK: Final = "cache_control"
EPHEMERAL: Final = {"type": "ephemeral"}
ONE_HOUR: Final = {"type": "ephemeral", "ttl": "1h"}
_FIVE_MINUTES: Final = {"type": "ephemeral", "ttl": "5m"}
"""The default mark, with its ``ttl`` spelled out."""


def limit_marks(
    body: MessagesRequest, max_marks: int, notes: list[str], *, one_hour: bool = False
) -> None:
    """Keep at most `max_marks` marks in `body`, with only the fields that Copilot accepts.

    If `one_hour` is True, a mark may keep its ``ttl`` of one hour. Changes the blocks in place.
    """
    removed: set[str] = set()
    marked: dict[str, list[Json]] = {"tools": [], "system": [], "messages": []}
    for section, block in _marked(body):
        mark = block[MARK]
        if mark is None:
            del block[MARK]
            continue
        is_long = one_hour and isinstance(mark, dict) and mark.get("ttl") == "1h"
        block[MARK] = dict(ONE_HOUR if is_long else EPHEMERAL)
        if mark not in (block[MARK], _FIVE_MINUTES):
            removed |= unsupported_parts(mark) - ({"ttl 1h"} if is_long else set())
        marked[section].append(block)
    if removed:
        parts = ", ".join(sorted(removed))
        notes.append(f"removed {parts} from cache_control: not supported by Copilot in this API")
    if sum(map(len, marked.values())) > max_marks:
        _drop_marks(marked, max_marks)
        notes.append(f"dropped cache_control from some blocks: Copilot allows at most {max_marks}")


def _drop_marks(marked: dict[str, list[Json]], max_marks: int) -> None:
    """Keep the `max_marks` most useful marks.

    These are the last mark of the tools, the last mark of the system prompt, and the last marks of
    the messages, because a mark covers everything before it.
    """
    tools, system, messages = marked["tools"], marked["system"], marked["messages"]
    by_use = [*tools[-1:], *system[-1:], *reversed(messages), *system[-2::-1], *tools[-2::-1]]
    for block in by_use[max_marks:]:
        del block[MARK]


def has_marks(body: MessagesRequest) -> bool:
    """Return whether any block has a mark."""
    return any(block[MARK] for _, block in _marked(body))


def has_long_marks(body: MessagesRequest) -> bool:
    """Return whether any block has a one-hour mark."""
    return any(block[MARK] == ONE_HOUR for _, block in _marked(body))


def keeps_an_hour(body: MessagesRequest) -> bool:
    """Return whether the end of the prompt is cached for an hour, judging by the last mark."""
    marked = _marked(body)
    return bool(marked) and marked[-1][1][MARK] == ONE_HOUR


def mark_stable_prefix(body: MessagesRequest) -> None:
    """Mark the likely start of the next request, for clients that cannot set marks.

    The last tool and the last system block are marked because all conversations of a client share
    them. The last two user messages are marked: the last mark writes what the next request will
    read, and the mark before it reads what the previous request wrote. A system message after them
    is not marked, because many clients do not repeat it. Input that is written to the cache
    costs a quarter more, so a first question without tools, often the only one, is not marked.
    """
    for section in ("tools", "system"):
        if body.get(section):
            _mark(body[section][-1])
    roles = values_of(body["messages"], "role")
    if body.get("tools") or "assistant" in roles:
        users = [index for index, role in enumerate(roles) if role == "user"]
        for message in _decoded_at(body, users[-2:]):
            mark_end(message)


def _decoded_at(body: MessagesRequest, indexes: list[int]) -> list[Json]:
    """Decode and return the messages at `indexes`, so that they can be changed."""
    messages = body["messages"]
    if isinstance(messages, PlainTurns):
        kept = [msgspec.to_builtins(one) if i in indexes else one for i, one in enumerate(messages)]
        body["messages"] = messages = messages.replaced(kept)
    return [messages[index] for index in indexes]


def mark_end(message: Json, mark: Json = EPHEMERAL) -> None:
    """Mark the last block of a message."""
    if isinstance(message["content"], str):
        message["content"] = [{"type": "text", "text": message["content"]}]
    message["content"][-1][MARK] = dict(mark)


def _mark(block: Json) -> None:
    block[MARK] = dict(EPHEMERAL)


def _marked(body: MessagesRequest) -> list[tuple[str, Json]]:
    """Return all blocks that have a mark, each with its section, in prompt order."""
    found = [("tools", tool) for tool in body.get("tools") or () if MARK in tool]
    if isinstance(body.get("system"), list):
        found += [("system", block) for block in body["system"] if MARK in block]
    messages = body["messages"]
    if isinstance(messages, PlainTurns):
        messages = messages.objects  # the structs have no marks
    contents = [one["content"] for one in messages if isinstance(one["content"], list)]
    blocks = [block for content in contents for block in content]
    for block in [one for one in blocks if MARK in one or isinstance(one.get("content"), list)]:
        # Blocks inside a tool result come before the mark of the result itself.
        inner = block["content"] if isinstance(block.get("content"), list) else ()
        marked = [one for one in (*inner, block) if isinstance(one, dict) and MARK in one]
        found += [("messages", one) for one in marked]
    return found
