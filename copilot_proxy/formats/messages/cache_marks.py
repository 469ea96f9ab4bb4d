"""Marks for Claude's prompt cache: in the one form, and the number, that Copilot takes.

A mark (`cache_control`) says: keep the prompt from its beginning up to here. The prompt runs tools,
system, messages; a later request that begins with the same is read from the cache for a tenth of
the price.
"""

from collections.abc import Iterator
from typing import Final

from copilot_proxy.formats.messages.schema import Json

EPHEMERAL: Final = {"type": "ephemeral"}


def reduce_marks(body: Json, most: int, notes: list[str]) -> None:
    """Takes from the marks of `body` what Copilot refuses, and the marks beyond `most`.

    Changes the blocks in place.
    """
    trimmed = False
    marked: dict[str, list[Json]] = {"tools": [], "system": [], "messages": []}
    for section, block in _blocks(body):
        mark = block.get("cache_control")
        if mark is None:
            block.pop("cache_control", None)
            continue
        trimmed = trimmed or mark != EPHEMERAL
        block["cache_control"] = dict(EPHEMERAL)
        marked[section].append(block)
    if trimmed:
        notes.append("reduced cache_control: Copilot takes no ttl and no scope")
    if sum(map(len, marked.values())) > most:
        _drop_marks(marked, most)
        notes.append(f"dropped cache_control of some blocks: Copilot takes {most}")


def _drop_marks(marked: dict[str, list[Json]], most: int) -> None:
    """Keeps the most useful marks.

    Those are the last of the tools and of the system prompt, which every conversation of a client
    shares, and the last ones of the messages, since a mark covers all that is before it.
    """
    tools, system, messages = marked["tools"], marked["system"], marked["messages"]
    by_use = [*tools[-1:], *system[-1:], *reversed(messages), *system[-2::-1], *tools[-2::-1]]
    for block in by_use[most:]:
        del block["cache_control"]


def has_marks(body: Json) -> bool:
    """Whether any block carries a mark."""
    return any(block.get("cache_control") for _, block in _blocks(body))


def mark_stable(body: Json) -> None:
    """Marks what the next request is likely to begin with, for clients that cannot say it.

    The last tool and the last system block: they are the same in every conversation of a client.
    The last two user turns: the last one's mark writes what the next request reads, and the one
    before it reads what the request before wrote. A first question without tools is often the
    only one, and writing to the cache costs a quarter more, so its turn is not marked.
    """
    for section in ("tools", "system"):
        if body.get(section):
            _mark(body[section][-1])
    messages = body["messages"]
    if body.get("tools") or any(message["role"] == "assistant" for message in messages):
        for message in [m for m in messages if m["role"] == "user"][-2:]:
            mark_end(message)


def mark_end(message: Json) -> None:
    """Marks the last block of a message."""
    if isinstance(message["content"], str):
        message["content"] = [{"type": "text", "text": message["content"]}]
    _mark(message["content"][-1])


def _mark(block: Json) -> None:
    block["cache_control"] = dict(EPHEMERAL)


def _blocks(body: Json) -> Iterator[tuple[str, Json]]:
    """Every block that may carry a mark, in the prompt's order, with the section it is in."""
    for tool in body.get("tools") or ():
        yield "tools", tool
    if isinstance(body.get("system"), list):
        yield from (("system", block) for block in body["system"])
    for message in body["messages"]:
        if isinstance(message["content"], list):
            for block in message["content"]:
                # The results of a tool may hold marked blocks, which come before its own mark.
                if isinstance(block.get("content"), list):
                    inner = [one for one in block["content"] if isinstance(one, dict)]
                    yield from (("messages", one) for one in inner)
                yield "messages", block
