"""Translates repaired chat chunks to the events of a Messages stream, or to one message.

As in Anthropic's own streams, a block ends before the next one starts, even if the chunks alternate
between them. Deltas for a later block wait until the previous block is complete.
"""

import uuid
from collections.abc import Mapping
from typing import Final

from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.formats import broken_responses
from copilot_proxy.formats.chat_completions.refusals import stop_details
from copilot_proxy.formats.messages.encrypted_reasoning import to_signature
from copilot_proxy.formats.messages.errors import error_event
from copilot_proxy.formats.messages.message_events import MessageAssembler
from copilot_proxy.formats.messages.request import is_thinking_enabled
from copilot_proxy.formats.messages.usage import usage_from_chat
from copilot_proxy.formats.stop_sequences import STOP_SEQUENCE
from copilot_proxy.formats.tool_arguments import Arguments
from copilot_proxy.formats.types import (
    ChatChunk,
    ChatUsage,
    CopilotUsage,
    Json,
    Message,
    MessagesEvent,
    MessagesRequest,
)

_STOP_REASONS: Final[Mapping[str, str]] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}


class _Block:
    """An unfinished block, with the deltas that have not been sent yet."""

    def __init__(self, start: Json) -> None:
        self.start = start
        self.deltas: list[Json] = []
        self.arguments = Arguments()
        self.opaque = ""
        self.has_started = False

    @property
    def type(self) -> str:
        return str(self.start["type"])

    @property
    def is_complete(self) -> bool:
        """Whether nothing more can be added to the block once another one has started."""
        return self.type != "tool_use" or self.arguments.is_json


class ChatToMessages:
    """Translates one response for an Anthropic client.

    `feed` accepts a chunk and returns its events, and `close` returns the last events. `fail`
    returns the events that end a broken stream. `whole` assembles a message from all events. `feed`
    and `close` raise `BrokenResponse` if the chunks do not form a response.

    Thinking is only sent to clients that enabled it. Other clients receive only the encrypted form,
    and only before a tool call: the model needs it back together with the call's result.
    """

    def __init__(self, request: MessagesRequest, model: str, input_tokens: int = 0) -> None:
        """`input_tokens` is an estimate for the first event; the last event has the actual
        count."""
        self._model = model
        self._input_tokens = input_tokens
        self._shows_thinking = is_thinking_enabled(request)
        # With this display, Claude's own blocks have a signature but no text.
        self._omits_text = (request.get("thinking") or {}).get("display") == "omitted"
        self._has_started = False
        self._blocks: list[_Block] = []  # the first block is the one being sent
        self._calls: dict[int, _Block] = {}
        self._index = 0
        self._held_opaque = ""
        self._tag = ""
        self._refusal = ""
        self._finish: str | None = None
        self._stop_sequence: str | None = None
        self._usage: ChatUsage | None = None
        self._copilot_usage: CopilotUsage | None = None

    def feed(self, chunk: ChatChunk) -> list[MessagesEvent]:
        """Return the events for one chunk."""
        events: list[MessagesEvent] = []
        if not self._has_started:
            self._has_started = True
            events.append(self._message_start())
        for choice in chunk["choices"]:
            self._add_delta(choice["delta"])
            self._finish = choice["finish_reason"] or self._finish
            self._stop_sequence = choice.get(STOP_SEQUENCE)
        self._usage = chunk.get("usage") or self._usage
        self._copilot_usage = chunk.get("copilot_usage") or self._copilot_usage
        self._send(events)
        return events

    def close(self) -> list[MessagesEvent]:
        """Return the events that end the message. Raises `BrokenResponse` if it is incomplete."""
        if self._finish is None:
            raise broken_responses.ended_early()
        if self._held_opaque and self._calls:
            self._release_opaque()
        events: list[MessagesEvent] = []
        self._send(events, closing=True)
        reason = _STOP_REASONS.get(self._finish, "end_turn")
        if self._refusal and reason == "end_turn":
            reason = "refusal"
        if self._stop_sequence is not None and reason == "end_turn":
            reason = "stop_sequence"
        delta: Json = {"stop_reason": reason, "stop_sequence": self._stop_sequence}
        if reason == "refusal" and (details := stop_details(self._refusal)):
            delta["stop_details"] = details
        last: MessagesEvent = {
            "type": "message_delta",
            "delta": delta,
            "usage": self._counts(),
        }
        if self._copilot_usage is not None:
            last["copilot_usage"] = self._copilot_usage
        return [*events, last, {"type": "message_stop"}]

    def whole(self, events: list[MessagesEvent]) -> Message:
        """Return the message assembled from all events."""
        assembler = MessageAssembler()
        for event in events:
            assembler.feed(event)
        return assembler.message

    def fail(self, error: CopilotProxyError, request_id: str) -> list[MessagesEvent]:
        """Return the event that reports an error and ends the stream."""
        return [error_event(error, request_id)]

    def _message_start(self) -> MessagesEvent:
        message: Message = {
            "id": f"msg_{uuid.uuid4().hex}",
            "type": "message",
            "role": "assistant",
            "model": self._model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            # Copilot sends counts at the end, but clients show the length of the prompt from the
            # start.
            "usage": self._counts(),
        }
        return {"type": "message_start", "message": message}

    def _counts(self) -> Json:
        """Return Copilot's token counts, or an estimate until they arrive."""
        if self._usage is not None:
            return usage_from_chat(self._usage)
        return {**usage_from_chat(None), "input_tokens": self._input_tokens}

    def _add_delta(self, delta: Json) -> None:
        if text := delta.get("reasoning_content"):
            self._add_thinking(text)
        if opaque := delta.get("reasoning_opaque"):
            self._add_opaque(opaque)
        for name in ("content", "refusal"):
            if text := delta.get(name):
                self._refusal += text if name == "refusal" else ""
                block = self._last_block({"type": "text", "text": ""})
                block.deltas.append({"type": "text_delta", "text": text})
        for call in delta.get("tool_calls") or ():
            self._add_call(call)

    def _add_thinking(self, text: str) -> None:
        if self._shows_thinking and not self._omits_text:
            delta = {"type": "thinking_delta", "thinking": text}
            self._last_thinking().deltas.append(delta)

    def _add_opaque(self, opaque: str) -> None:
        # After text, hold the value back until there is a call. Without a call, it is not needed,
        # and clients such as Claude Code would treat the thinking block as the answer.
        is_late = bool(self._blocks) and self._blocks[-1].type == "text"
        if self._shows_thinking and not is_late:
            self._last_thinking().opaque += opaque
        else:
            self._held_opaque += opaque

    def _release_opaque(self) -> None:
        """Add the opaque value that was held back; the model needs it with the tool results."""
        self._last_thinking().opaque += self._held_opaque
        self._held_opaque = ""

    def _last_thinking(self) -> _Block:
        return self._last_block({"type": "thinking", "thinking": "", "signature": ""})

    def _last_block(self, start: Json) -> _Block:
        """Return the last block if it has the type of `start`, otherwise a new block."""
        if not self._blocks or self._blocks[-1].type != start["type"]:
            self._blocks.append(_Block(start))
        return self._blocks[-1]

    def _add_call(self, call: Json) -> None:
        block = self._calls.get(call["index"])
        if block is None:
            if self._held_opaque:
                self._release_opaque()
            name = call["function"]["name"]
            block = _Block({"type": "tool_use", "id": call["id"], "name": name, "input": {}})
            self._calls[call["index"]] = block
            self._blocks.append(block)
        if (text := call["function"].get("arguments")) and block in self._blocks:
            block.arguments.add(text)
            block.deltas.append({"type": "input_json_delta", "partial_json": text})

    def _send(self, events: list[MessagesEvent], *, closing: bool = False) -> None:
        """Move the deltas of the first block, and of each block that follows a complete one, to
        `events`."""
        while self._blocks:
            block = self._blocks[0]
            self._send_block(block, events)
            is_followed = len(self._blocks) > 1
            if not closing and not (is_followed and block.is_complete):
                return
            if block.opaque:
                signature = self._signature(block.opaque)
                self._send_delta({"type": "signature_delta", "signature": signature}, events)
            events.append({"type": "content_block_stop", "index": self._index})
            self._index += 1
            self._blocks.pop(0)

    def _send_block(self, block: _Block, events: list[MessagesEvent]) -> None:
        if not block.has_started:
            block.has_started = True
            start = {"index": self._index, "content_block": block.start}
            events.append({"type": "content_block_start", **start})
        for delta in block.deltas:
            self._send_delta(delta, events)
        block.deltas = []

    def _send_delta(self, delta: Json, events: list[MessagesEvent]) -> None:
        events.append({"type": "content_block_delta", "index": self._index, "delta": delta})

    def _signature(self, opaque: str) -> str:
        """Return a part of the opaque value as a signature with the tag of its API.

        Later parts arrive without a tag, so they are given the tag of the first part.
        """
        if opaque.startswith(" ") and self._tag:
            return self._tag + opaque[1:]
        signature = to_signature(opaque)
        self._tag = signature[: signature.index(":") + 1]
        return signature
