"""Marks the part of a conversation that stays the same, so that Claude's prompt cache is used.

GPT and Gemini keep such a cache by themselves; for Claude what may be kept has to be marked, at
most four times, and reading it back costs a tenth.
"""

from typing import Final

from copilot_proxy.formats.chat_completions.schema import Json

_FIELD: Final = "copilot_cache_control"
_EPHEMERAL: Final = {"type": "ephemeral"}
_EACH: Final = 2
"""Marks on the first instructions and on the last messages: the one before the last lets the next
turn read what this one has written."""


def mark_stable(messages: list[Json]) -> None:
    """Marks the messages, in place, unless the client has set marks of its own."""
    if any(_FIELD in message for message in messages):
        return
    system = [message for message in messages if message["role"] == "system"]
    others = [message for message in messages if message["role"] != "system"]
    for message in (*system[:_EACH], *others[-_EACH:]):
        message[_FIELD] = dict(_EPHEMERAL)


def reduce_marks(messages: list[Json], most: int, notes: list[str]) -> None:
    """Puts marks, in place, into the one form that Copilot takes, and keeps the last `most`: a mark
    covers all that is before it."""
    marked = [message for message in messages if message.get(_FIELD) is not None]
    if any(message[_FIELD] != _EPHEMERAL for message in marked):
        notes.append(f"reduced {_FIELD}: Copilot takes no ttl and no scope")
        for message in marked:
            message[_FIELD] = dict(_EPHEMERAL)
    if len(marked) > most:
        notes.append(f"dropped {_FIELD} of some messages: Copilot takes {most}")
        for message in marked[:-most]:
            del message[_FIELD]
