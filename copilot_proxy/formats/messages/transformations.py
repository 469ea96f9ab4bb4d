"""Reports the parts of the conversation that Copilot removed before the model read it.

Claude's answers list these parts in ``input_transformations``, for example thinking that no longer
matches the conversation. The format of the entries is not documented, so only their type is used.
"""

import re
from collections import Counter
from typing import Any, Final

from copilot_proxy.formats.types import MessagesEvent

FIELD: Final = "input_transformations"
_NESTED: Final = ("message", "delta")
_TYPE: Final = re.compile(r"[a-z0-9_]{1,40}")


def note_transformations(event: MessagesEvent, notes: list[str]) -> None:
    """Add a note for the entries in an event or whole message, unless it is in `notes` already."""
    for holder in (event, *(event.get(name) for name in _NESTED)):
        listed = holder.get(FIELD) if isinstance(holder, dict) else None
        if not isinstance(listed, list) or not listed:
            continue
        kinds = Counter(map(_kind, listed))
        names = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
        note = f"dropped parts of earlier messages: Copilot reports {names}"
        if note not in notes:
            notes.append(note)


def _kind(entry: Any) -> str:
    kind = entry.get("type") if isinstance(entry, dict) else entry
    return kind if isinstance(kind, str) and _TYPE.fullmatch(kind) else "changes"
