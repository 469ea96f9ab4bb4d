"""Adds missing indexes to the events of a Responses stream.

Some servers leave out `output_index`, `content_index` or `summary_index`, which clients need to
tell which item, and which part of it, an event belongs to.
"""

from typing import Final

from copilot_proxy.formats.types import ResponsesEvent

_PARTS: Final = {
    f"response.{kind}": index
    for index, kinds in {
        "content_index": (
            *("content_part.added", "content_part.done", "output_text.annotation.added"),
            *("output_text.delta", "output_text.done", "refusal.delta", "refusal.done"),
            *("reasoning_text.delta", "reasoning_text.done"),
        ),
        "summary_index": (
            *("reasoning_summary_part.added", "reasoning_summary_part.done"),
            *("reasoning_summary_text.delta", "reasoning_summary_text.done"),
        ),
        "": (
            *("function_call_arguments.delta", "function_call_arguments.done"),
            *("custom_tool_call_input.delta", "custom_tool_call_input.done"),
        ),
    }.items()
    for kind in kinds
}
"""Event type -> the field with the index of the part, or "" if the item has no parts."""


class EventIndexes:
    """Adds missing indexes to the events of one stream.

    An event belongs to the item with the event's `item_id`. If no item has that id, the event
    belongs to the latest item, because Copilot sends a different id for an item in every event.
    """

    def __init__(self) -> None:
        self._indexes: dict[str, int] = {}
        self._latest = -1
        self._is_open = False
        """Whether the latest item is unfinished."""

    def complete(self, kind: str, event: ResponsesEvent) -> ResponsesEvent:
        """Return `event`, of the type `kind`, with its indexes. If none is missing, the same object
        is returned."""
        part = _PARTS.get(kind)
        index = event.get("output_index")
        if type(index) is not int:
            item = event.get("item")
            id = item.get("id") if isinstance(item, dict) else event.get("item_id")
            if id is None and part is None and not isinstance(item, dict):
                return event  # not about an item
            index = self._index(str(id), is_new=kind == "response.output_item.added")
            event = {**event, "output_index": index}
        if part and part not in event:
            event = {**event, part: 0}
        if index >= self._latest:
            self._latest, self._is_open = index, kind != "response.output_item.done"
        return event

    def _index(self, id: str, *, is_new: bool) -> int:
        if not is_new and id in self._indexes:
            return self._indexes[id]
        index = self._latest if self._is_open and not is_new else self._latest + 1
        self._indexes[id] = index
        return index
