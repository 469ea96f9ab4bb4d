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


def mark_stable(messages: list[Json]) -> list[Json]:
    """The messages with marks, unless the client has set its own."""
    if any(_FIELD in message for message in messages):
        return messages
    system = [i for i, message in enumerate(messages) if message["role"] == "system"]
    others = [i for i, message in enumerate(messages) if message["role"] != "system"]
    marked = {*system[:_EACH], *others[-_EACH:]}
    return [
        {**message, _FIELD: dict(_EPHEMERAL)} if i in marked else message
        for i, message in enumerate(messages)
    ]
