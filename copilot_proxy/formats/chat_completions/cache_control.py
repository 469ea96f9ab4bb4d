"""Marks the stable part of a conversation for Claude's prompt cache.

GPT and Gemini cache prompts without marks. Claude caches everything before a mark, and allows four
marks. Cached input costs a tenth of the normal price.
"""

from typing import Final

from copilot_proxy.formats.types import Json

_FIELD: Final = "copilot_cache_control"
_EPHEMERAL: Final = {"type": "ephemeral"}
_MARKS_PER_END: Final = 2
"""How many system messages to mark at the start, and how many other messages at the end.

The second-to-last mark lets this request read what the previous request has cached.
"""


def mark_stable_prefix(messages: list[Json]) -> None:
    """Mark the messages in place, unless the client has set marks."""
    if any(_FIELD in message for message in messages):
        return
    system = [message for message in messages if message["role"] == "system"]
    others = [message for message in messages if message["role"] != "system"]
    for message in (*system[:_MARKS_PER_END], *others[-_MARKS_PER_END:]):
        message[_FIELD] = dict(_EPHEMERAL)


def unsupported_parts(mark: object) -> set[str]:
    """Return the parts of a client's mark that Copilot does not support, to be named in a note."""
    fields = mark if isinstance(mark, dict) else {"type": mark}
    return {
        f"{name} {value}"[:40] if name in ("ttl", "type") else str(name)[:40]
        for name, value in fields.items()
        if (name, value) != ("type", "ephemeral")
    }


def limit_marks(messages: list[Json], max_marks: int, notes: list[str]) -> None:
    """Change marks in place to the form that Copilot accepts, keeping only the last `max_marks`.

    A mark covers everything before it, so the last marks are the most useful.
    """
    marked = [message for message in messages if message.get(_FIELD) is not None]
    if any(message[_FIELD] != _EPHEMERAL for message in marked):
        removed = {name for message in marked for name in unsupported_parts(message[_FIELD])}
        parts = ", ".join(sorted(removed))
        notes.append(f"removed {parts} from {_FIELD}: not supported by Copilot in this API")
        for message in marked:
            message[_FIELD] = dict(_EPHEMERAL)
    if len(marked) > max_marks:
        notes.append(f"dropped {_FIELD} from some messages: Copilot allows at most {max_marks}")
        for message in marked[:-max_marks]:
            del message[_FIELD]
