"""Repairs the blocks of a Messages stream so that every client can assemble them.

Clients keep blocks in a list by `index`, assume that a tool's input starts empty, and run a tool
only if `stop_reason` is `tool_use`. Copilot's backends do not always follow these rules: Bedrock,
for example, ends some answers that contain calls with `end_turn`.
"""

from typing import Final

import msgspec

from copilot_proxy.formats.types import Json, MessagesEvent

_IMPLIED: Final[dict[str, Json]] = {
    "text_delta": {"type": "text", "text": ""},
    "thinking_delta": {"type": "thinking", "thinking": "", "signature": ""},
}
"""Delta type -> the block to start for a delta that Copilot sent without starting a block."""


class BlockRepair:
    """Repairs the blocks of one stream. Events that need no repair are returned unchanged."""

    def __init__(self) -> None:
        self._open: dict[int, int] = {}
        """Copilot's index of each unfinished block -> the client's index."""
        self._inputs: dict[int, Json] = {}
        """Copilot's index of a block -> the input from its start event, if not sent yet."""
        self._count = 0
        self.has_call = False

    def feed(self, event: MessagesEvent) -> list[MessagesEvent]:
        """Return the events to send to the client for one of Copilot's events about a block."""
        index = event.get("index")
        index = index if type(index) is int else 0
        match event.get("type"):
            case "content_block_delta":
                return self._delta(index, event)
            case "content_block_start":
                return self._start(index, event)
        return self._stop(index, event)

    def close(self) -> list[MessagesEvent]:
        """Return the events that end any blocks that Copilot left open."""
        stop: MessagesEvent = {"type": "content_block_stop"}
        return [event for index in list(self._open) for event in self._stop(index, stop)]

    def _start(self, index: int, event: MessagesEvent) -> list[MessagesEvent]:
        events = self._stop(index, {"type": "content_block_stop"})
        block = event.get("content_block")
        if isinstance(block, dict) and block.get("type") == "tool_use":
            self.has_call = True
            if isinstance(block.get("input"), dict) and block["input"]:
                # Claude Code reads the input only from deltas.
                self._inputs[index] = block["input"]
                event = {**event, "content_block": {**block, "input": {}}}
        self._open[index] = self._count
        self._count += 1
        return [*events, _at(self._open[index], event)]

    def _delta(self, index: int, event: MessagesEvent) -> list[MessagesEvent]:
        delta = event.get("delta")
        if index not in self._open:
            block = _IMPLIED.get(str(delta.get("type"))) if isinstance(delta, dict) else None
            if block is None:
                return [event]
            start: MessagesEvent = {"type": "content_block_start", "content_block": {**block}}
            return [*self._start(index, start), _at(self._open[index], event)]
        if self._inputs and isinstance(delta, dict) and delta.get("partial_json"):
            self._inputs.pop(index, None)
        return [_at(self._open[index], event)]

    def _stop(self, index: int, event: MessagesEvent) -> list[MessagesEvent]:
        number = self._open.pop(index, None)
        if number is None:
            return []
        events = [_at(number, event)]
        if whole := self._inputs.pop(index, None):
            text = msgspec.json.encode(whole).decode()
            delta = {"type": "input_json_delta", "partial_json": text}
            events.insert(0, {"type": "content_block_delta", "index": number, "delta": delta})
        return events


def true_reason(reason: object, *, has_call: bool) -> object:
    """Return the stop reason, corrected if it contradicts `has_call`.

    `has_call` is whether the answer calls a client tool. A client would not run the tools after
    `end_turn`. After `tool_use` without calls, it would hang.
    """
    if has_call:
        return "tool_use" if reason in (None, "", "end_turn") else reason
    return "end_turn" if reason in (None, "", "tool_use") else reason


def _at(index: int, event: MessagesEvent) -> MessagesEvent:
    return event if event.get("index") == index else {**event, "index": index}
