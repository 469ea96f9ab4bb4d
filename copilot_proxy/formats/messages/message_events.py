"""Converts a message to the events of a stream, and events to a message.

Source: Anthropic's page on streaming messages, https://platform.claude.com/docs/en/build-with-claude/streaming
"""

from typing import Final

import msgspec

from copilot_proxy.formats.messages.usage import add_usage
from copilot_proxy.formats.tool_arguments import parsed_input
from copilot_proxy.formats.types import Json, Message, MessagesEvent


def message_to_events(message: Message) -> list[MessagesEvent]:
    """Return the events of a stream that has the same content as the complete `message`.

    The stream begins with ``message_start``. Each block has a ``content_block_start``, its
    ``content_block_delta`` events, and a ``content_block_stop``. The stream ends with
    ``message_delta``, which has the stop reason and the usage, and ``message_stop``.
    """
    head = {**message, "content": [], "stop_reason": None, "stop_sequence": None}
    copilot_usage = head.pop("copilot_usage", None)
    details = {"stop_details": head.pop("stop_details")} if "stop_details" in head else {}
    events: list[MessagesEvent] = [{"type": "message_start", "message": head}]
    for index, block in enumerate(message["content"]):
        start, deltas = _split(block)
        events.append({"type": "content_block_start", "index": index, "content_block": start})
        for delta in deltas:
            events.append({"type": "content_block_delta", "index": index, "delta": delta})
        events.append({"type": "content_block_stop", "index": index})
    last: MessagesEvent = {
        "type": "message_delta",
        "delta": {
            "stop_reason": message["stop_reason"],
            "stop_sequence": message["stop_sequence"],
            **details,
        },
        "usage": message["usage"],
    }
    if copilot_usage is not None:
        last["copilot_usage"] = copilot_usage
    return [*events, last, {"type": "message_stop"}]


def _split(block: Json) -> tuple[Json, list[Json]]:
    """Split a block into the part for its start event and the deltas with the rest."""
    match block.get("type"):
        case "text":
            text = block.get("text") or ""
            return {**block, "text": ""}, [{"type": "text_delta", "text": text}]
        case "thinking":
            deltas = [{"type": "thinking_delta", "thinking": block.get("thinking") or ""}]
            if block.get("signature"):
                deltas.append({"type": "signature_delta", "signature": block["signature"]})
            return {**block, "thinking": "", "signature": ""}, deltas
        case "tool_use" | "server_tool_use":
            # An empty input is not sent, because it may be from a call that was cut off.
            text = msgspec.json.encode(block["input"]).decode() if block.get("input") else ""
            return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": text}]
    return block, []


_OWN_FIELDS: Final = {"type", "delta", "usage"}
"""The fields of the last events themselves; all others belong to the message."""


class MessageAssembler:
    """Assembles a message from the events of a stream."""

    def __init__(self) -> None:
        self._head: Message = {}
        self._blocks: dict[int, Json] = {}
        self._texts: dict[tuple[int, str], list[str]] = {}
        self._usage: Json = {}

    def feed(self, event: MessagesEvent) -> None:
        """Add an event; events that are not about the message are skipped."""
        match event.get("type"):
            case "message_start":
                self._head = {**event["message"]}
                self._usage = {**(self._head.get("usage") or {})}
            case "content_block_start":
                self._blocks[event["index"]] = {**event["content_block"]}
            case "content_block_delta":
                self._add_delta(event["index"], event["delta"])
            case "message_delta":
                self._head.update(event["delta"])
                self._usage = add_usage(self._usage, event.get("usage"))
                self._add_fields(event)
            case "message_stop":
                self._add_fields(event)

    def _add_fields(self, event: MessagesEvent) -> None:
        self._head.update({name: event[name] for name in event.keys() - _OWN_FIELDS})

    def _add_delta(self, index: int, delta: Json) -> None:
        match delta.get("type"):
            case "text_delta":
                self._add_text(index, "text", delta["text"])
            case "thinking_delta":
                self._add_text(index, "thinking", delta["thinking"])
            case "signature_delta":
                self._add_text(index, "signature", delta["signature"])
            case "input_json_delta":
                self._add_text(index, "input", delta["partial_json"])
            case "citations_delta":
                block = self._blocks[index]
                block["citations"] = [*(block.get("citations") or []), delta["citation"]]
            case _ if index in self._blocks:
                self._add_unknown(index, delta)

    def _add_unknown(self, index: int, delta: Json) -> None:
        """Add the texts of a delta of an unknown type; like all texts, they arrive in pieces."""
        block = self._blocks[index]
        for name, value in delta.items():
            if name != "type" and isinstance(value, str) and isinstance(block.get(name) or "", str):
                self._add_text(index, name, value)

    def _add_text(self, index: int, name: str, text: str) -> None:
        self._texts.setdefault((index, name), []).append(text)

    @property
    def message(self) -> Message:
        """The message assembled so far."""
        blocks = {index: dict(block) for index, block in self._blocks.items()}
        for (index, name), parts in self._texts.items():
            text = "".join(parts)
            if name == "input":
                blocks[index]["input"] = parsed_input(text, blocks[index].get("input"))
            else:
                blocks[index][name] = (blocks[index].get(name) or "") + text
        content = [blocks[index] for index in sorted(blocks)]
        return {**self._head, "content": content, "usage": self._usage}
