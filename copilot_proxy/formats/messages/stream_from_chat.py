"""OpenAI's chunks, repaired, as the events of a Messages stream or as one message.

A block ends before the next begins, as in Anthropic's own streams, however the chunks mix: what
belongs to a later block waits until the one before it is complete.
"""

import uuid
from collections.abc import Mapping
from typing import Final

from copilot_proxy.errors import BrokenResponse, CopilotProxyError
from copilot_proxy.formats.messages.errors import error_event
from copilot_proxy.formats.messages.message_events import Assembler
from copilot_proxy.formats.messages.request import thinks
from copilot_proxy.formats.messages.schema import Json
from copilot_proxy.formats.messages.sealed_reasoning import to_signature
from copilot_proxy.formats.messages.usage import to_anthropic
from copilot_proxy.formats.tool_arguments import Arguments

_STOP_REASONS: Final[Mapping[str, str]] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}


class _Block:
    """A block that is not complete yet, with the deltas that wait to be sent."""

    def __init__(self, start: Json) -> None:
        self.start = start
        self.deltas: list[Json] = []
        self.arguments = Arguments()
        self.opaque = ""
        self.begun = False

    @property
    def kind(self) -> str:
        return str(self.start["type"])

    @property
    def is_complete(self) -> bool:
        """Whether nothing can be added, now that another block follows."""
        return self.kind != "tool_use" or self.arguments.is_json


class ChatToMessages:
    """One answer for an Anthropic client.

    `feed` takes a chunk and returns the events it makes, `close` the last ones, `fail` those that
    end a stream which broke; `whole` makes one message of them all. `feed` and `close` raise
    `BrokenResponse` for chunks that make no answer. Thinking is shown to clients that asked for
    it; for     others its seal alone is kept, where a call of a tool will need it.
    """

    def __init__(self, request: Json, model: str) -> None:
        self._model = model
        self._shows_thinking = thinks(request)
        self._started = False
        self._ended = False
        self._blocks: list[_Block] = []  # the first is the one that is being sent
        self._calls: dict[int, _Block] = {}
        self._index = 0
        self._hidden_opaque = ""
        self._tag = ""
        self._refused = False
        self._finish: str | None = None
        self._usage: Json | None = None
        self._copilot_usage: Json | None = None

    def feed(self, chunk: Json) -> list[Json]:
        """The events of one chunk."""
        events: list[Json] = []
        if not self._started:
            self._started = True
            events.append(self._message_start())
        for choice in chunk["choices"]:
            self._take(choice["delta"])
            self._finish = choice["finish_reason"] or self._finish
        self._usage = chunk.get("usage") or self._usage
        self._copilot_usage = chunk.get("copilot_usage") or self._copilot_usage
        self._send(events)
        return events

    def close(self) -> list[Json]:
        """The events that end the message; raises `BrokenResponse` for an incomplete answer."""
        if self._finish is None:
            raise BrokenResponse(
                "Copilot's answer broke off before it was complete.",
                hint="What came so far may be incomplete. Try again.",
            )
        if self._hidden_opaque and self._calls:
            self._unhide()
        events: list[Json] = []
        self._send(events, closing=True)
        reason = _STOP_REASONS.get(self._finish, "end_turn")
        if self._refused and reason == "end_turn":
            reason = "refusal"
        last: Json = {
            "type": "message_delta",
            "delta": {"stop_reason": reason, "stop_sequence": None},
            "usage": to_anthropic(self._usage),
        }
        if self._copilot_usage is not None:
            last["copilot_usage"] = self._copilot_usage
        return [*events, last, {"type": "message_stop"}]

    def whole(self, events: list[Json]) -> Json:
        """The message that all the events add up to."""
        assembler = Assembler()
        for event in events:
            assembler.feed(event)
        return assembler.message

    def fail(self, error: CopilotProxyError, request_id: str) -> list[Json]:
        """The event that tells of a failure; nothing may follow it."""
        return [error_event(error, request_id)]

    def _message_start(self) -> Json:
        message: Json = {
            "id": f"msg_{uuid.uuid4().hex}",
            "type": "message",
            "role": "assistant",
            "model": self._model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": to_anthropic(None),  # Copilot tells it in the end
        }
        return {"type": "message_start", "message": message}

    def _take(self, delta: Json) -> None:
        if text := delta.get("reasoning_content"):
            self._think(text)
        if opaque := delta.get("reasoning_opaque"):
            self._seal(opaque)
        for name in ("content", "refusal"):
            if text := delta.get(name):
                self._refused = self._refused or name == "refusal"
                start = {"type": "text", "text": ""}
                self._last("text", start).deltas.append({"type": "text_delta", "text": text})
        for call in delta.get("tool_calls") or ():
            self._call(call)

    def _think(self, text: str) -> None:
        if self._shows_thinking:
            delta = {"type": "thinking_delta", "thinking": text}
            self._last_thinking().deltas.append(delta)

    def _seal(self, opaque: str) -> None:
        # After the text it is held back: only a call needs it, and clients such as Claude Code take
        # the last block for the answer.
        is_late = bool(self._blocks) and self._blocks[-1].kind == "text"
        if self._shows_thinking and not is_late:
            self._last_thinking().opaque += opaque
        else:
            self._hidden_opaque += opaque

    def _unhide(self) -> None:
        """Keeps the seal of thinking that is not shown: the model asks for it with the results."""
        self._last_thinking().opaque += self._hidden_opaque
        self._hidden_opaque = ""

    def _last_thinking(self) -> _Block:
        return self._last("thinking", {"type": "thinking", "thinking": "", "signature": ""})

    def _last(self, kind: str, start: Json) -> _Block:
        """The last block, if it is of that kind; else a new one."""
        if not self._blocks or self._blocks[-1].kind != kind:
            self._blocks.append(_Block(start))
        return self._blocks[-1]

    def _call(self, call: Json) -> None:
        block = self._calls.get(call["index"])
        if block is None:
            if self._hidden_opaque:
                self._unhide()
            name = call["function"]["name"]
            block = _Block({"type": "tool_use", "id": call["id"], "name": name, "input": {}})
            self._calls[call["index"]] = block
            self._blocks.append(block)
        if (text := call["function"].get("arguments")) and block in self._blocks:
            block.arguments.add(text)
            block.deltas.append({"type": "input_json_delta", "partial_json": text})

    def _send(self, events: list[Json], *, closing: bool = False) -> None:
        """Sends what the first block has got, and the blocks after it once it is complete."""
        while self._blocks:
            block = self._blocks[0]
            self._send_block(block, events)
            followed = len(self._blocks) > 1
            if not closing and not (followed and block.is_complete):
                return
            if block.opaque:
                signature = self._signature(block.opaque)
                self._delta({"type": "signature_delta", "signature": signature}, events)
            events.append({"type": "content_block_stop", "index": self._index})
            self._index += 1
            self._blocks.pop(0)

    def _send_block(self, block: _Block, events: list[Json]) -> None:
        if not block.begun:
            block.begun = True
            start = {"index": self._index, "content_block": block.start}
            events.append({"type": "content_block_start", **start})
        for delta in block.deltas:
            self._delta(delta, events)
        block.deltas = []

    def _delta(self, delta: Json, events: list[Json]) -> None:
        events.append({"type": "content_block_delta", "index": self._index, "delta": delta})

    def _signature(self, opaque: str) -> str:
        """The seal as a signature that says whose it is, also where a later piece does not."""
        if opaque.startswith(" ") and self._tag:
            return self._tag + opaque[1:]
        signature = to_signature(opaque)
        self._tag = signature[: signature.index(":") + 1]
        return signature
