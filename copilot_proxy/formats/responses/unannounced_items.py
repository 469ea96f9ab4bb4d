"""Adds missing events at the start and end of the output items of a Responses stream.

Some servers send the deltas of an item without announcing it, or send an item only in the final
event. Clients such as Codex ignore the deltas of unknown items, and never run unknown calls.
"""

from collections.abc import Iterator
from typing import Any, Final

from copilot_proxy.formats.responses.item_positions import ItemPositions
from copilot_proxy.formats.responses.response_events import TERMINAL, item_events
from copilot_proxy.formats.types import Json, ResponsesEvent

_DONE: Final = "response.output_item.done"
_DELTA: Final = "response.output_text.delta"
_MESSAGE: Final = frozenset(
    {
        *(_DELTA, "response.output_text.done"),
        *("response.content_part.added", "response.content_part.done"),
    }
)
_CALL: Final = frozenset(
    f"response.{kind}.{end}"
    for kind in ("function_call_arguments", "custom_tool_call_input")
    for end in ("delta", "done")
)
_ENDS: Final = frozenset({TERMINAL["completed"], TERMINAL["incomplete"]})


class UnannouncedItems:
    """The output items of a stream; `complete` adds their missing events.

    A message is announced with its first delta. A call is announced only once it is complete,
    because its deltas do not contain the name of the tool. Events of other types are not changed.
    """

    def __init__(self) -> None:
        self.known: set[int] = set()
        """Indexes of the items that upstream has announced or ended."""
        self._open: dict[int, Json] = {}
        """The items that upstream has announced but not ended, as they were announced."""
        self._texts: dict[int, dict[int, str]] = {}
        """The texts of the messages announced here: output index -> part index -> text."""
        self._positions = ItemPositions()
        self._call_ids: set[str] = set()

    def complete(self, kind: str, event: ResponsesEvent) -> list[ResponsesEvent]:
        """Return the event, of type `kind`, with any events missing before or after it."""
        index = event.get("output_index")
        if type(index) is int:
            item = event.get("item")
            if isinstance(item, dict):
                self._positions.add(item.get("type"), index)
                self._call_ids.add(str(item.get("call_id")))
            if index in self.known:
                if kind == _DONE:
                    self._open.pop(index, None)
                return [event]
            if kind in _MESSAGE:
                return self._piece(kind, index, event)
            if kind in _CALL:
                return []
            if not isinstance(item, dict):
                return [event]
            self.known.add(index)
            if kind != _DONE:
                self._open[index] = item
                return [event]
            return list(self._end(index, item))
        response = event.get("response")
        if kind not in _ENDS or not isinstance(response, dict):
            return [event]
        output = response.get("output")
        return [*self._missing(output), *self._unended(output), event]

    def _piece(self, kind: str, index: int, event: ResponsesEvent) -> list[ResponsesEvent]:
        """Return the events for a delta of a message that upstream has not announced."""
        position = {"item_id": event.get("item_id"), "output_index": index}
        events: list[ResponsesEvent] = []
        if index not in self._texts:
            self._texts[index] = {}
            item = _message(event.get("item_id"), "in_progress", [])
            added = {"type": "response.output_item.added", "output_index": index, "item": item}
            events.append(added)
        if kind != _DELTA:
            # Upstream events that open or close a part are dropped, because each is written here
            # once.
            return events
        parts, number = self._texts[index], event.get("content_index")
        number = number if type(number) is int else 0
        if number not in parts:
            parts[number] = ""
            more = {"content_index": number, "part": _part("")}
            events.append({"type": "response.content_part.added", **position, **more})
        parts[number] += str(event.get("delta") or "")
        return [*events, event]

    def _end(self, index: int, item: Json) -> Iterator[ResponsesEvent]:
        """Yield the unsent events of the complete `item`."""
        parts = self._texts.pop(index, None)
        sent = set() if parts is None else {"response.output_item.added"}
        for event in item_events(index, item):
            kind = event["type"]
            if parts and event.get("content_index") in parts:
                if kind in ("response.content_part.added", _DELTA):
                    continue
            elif kind in sent:
                continue
            yield event

    def _missing(self, output: object) -> Iterator[ResponsesEvent]:
        """Yield the missing events of items that have not ended by the end of the response."""
        whole = output if isinstance(output, list) else []
        items: dict[int, Any] = dict(enumerate(whole))
        if self.known:
            # The final event repeats the announced items, possibly at different positions.
            objects = [item for item in whole if isinstance(item, dict)]
            items = dict(self._positions.of(objects, self._call_ids))
        for index in sorted({*items, *self._texts} - self.known):
            item = items.get(index)
            if index in self._texts and (
                not isinstance(item, dict) or item.get("type") != "message"
            ):
                parts = [_part(text) for _, text in sorted(self._texts[index].items())]
                item = _message(None, "completed", parts)
            if isinstance(item, dict):
                self.known.add(index)
                yield from self._end(index, item)

    def _unended(self, output: object) -> Iterator[ResponsesEvent]:
        """Yield the events that end announced items that are still open. Some clients, such as
        Codex, only look at these events."""
        items = list(output) if isinstance(output, list) else []
        for index, announced in sorted(self._open.items()):
            item = next((one for one in items if _is_same(one, announced)), None)
            if item is not None:
                items.remove(item)
                yield {"type": _DONE, "output_index": index, "item": item}


def _is_same(item: object, announced: Json) -> bool:
    """Return whether the items are the same call or, if they are not calls, have the same type."""
    return isinstance(item, dict) and all(
        item.get(name) == announced.get(name) for name in ("type", "call_id")
    )


def _message(id: object, status: str, content: list[Json]) -> Json:
    return {"type": "message", "id": id, "role": "assistant", "status": status, "content": content}


def _part(text: str) -> Json:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
