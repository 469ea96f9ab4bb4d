"""Translates responses of Copilot's Messages API to chat chunks."""

from collections.abc import Collection, Mapping
from typing import Any, Final

import msgspec

from copilot_proxy.formats import broken_responses
from copilot_proxy.formats.chat_completions.chunk_translator import ChunkTranslator
from copilot_proxy.formats.chat_completions.chunks import Chunks, unstated_reason
from copilot_proxy.formats.chat_completions.finish_reasons import PAUSED, openai_reason
from copilot_proxy.formats.chat_completions.refusals import explanation
from copilot_proxy.formats.chat_completions.tool_calls import ToolCalls
from copilot_proxy.formats.messages.encrypted_reasoning import ReasoningWriter
from copilot_proxy.formats.messages.message_events import message_to_events
from copilot_proxy.formats.messages.stream_repair import is_message, repair_message
from copilot_proxy.formats.messages.transformations import note_transformations
from copilot_proxy.formats.messages.usage import add_usage, usage_to_chat
from copilot_proxy.formats.reasoning_cache import ReasoningRecorder
from copilot_proxy.formats.types import ChatChunk, ChatUsage, CopilotUsage, Json, MessagesEvent
from copilot_proxy.formats.upstream_errors import parse_error_event

_PAUSED_NOTE: Final = (
    "changed the finish reason from pause_turn to length: the model has not finished its turn; to "
    "continue, send the conversation with this answer"
)


class MessagesToChat(ChunkTranslator):
    """Translates one response of Copilot's Messages API, event by event.

    `feed` accepts the decoded JSON of an event, or of a whole message, and returns its chunks.
    `close` returns the last chunks, including the finish reason. Both raise `UpstreamError` if the
    response is broken or is an error. `usage` contains the token counts so far, and `copilot_usage`
    contains GitHub's charge.
    """

    def __init__(
        self,
        model: str,
        *,
        include_usage: bool = False,
        now: int | None = None,
        recorder: ReasoningRecorder | None = None,
        tool_names: Mapping[str, str] | None = None,
        custom_tools: Collection[str] = (),
        used_ids: Collection[str] = (),
    ) -> None:
        self._chunks = Chunks(model, include_usage=include_usage, now=now, recorder=recorder)
        self._id = ""
        self._finish: str | None = None
        self._calls = ToolCalls(tool_names, custom_tools, used_ids)
        self._reasoning = ReasoningWriter()
        self._blocks: dict[int, Json] = {}  # the blocks that have started but not ended
        self._counts: Json = {}
        self.usage: ChatUsage | None = None
        self.copilot_usage: CopilotUsage | None = None

    def feed(self, data: object) -> list[ChatChunk]:
        """Return the chunks for an event or a whole message from Copilot."""
        if not isinstance(data, dict):
            raise broken_responses.not_an_object()
        if data.get("type") == "error" or data.get("error"):
            raise parse_error_event(data)
        if self.notes is not None and data.get("type") != "content_block_delta":
            note_transformations(data, self.notes)
        if isinstance(data.get("copilot_usage"), dict):
            self.copilot_usage = data["copilot_usage"]
        chunks: list[ChatChunk] = []
        match data.get("type"):
            case "message_start":
                self._start_message(_object(data.get("message")), chunks)
            case "content_block_start":
                self._start_block(_index(data), _object(data.get("content_block")), chunks)
            case "content_block_delta":
                self._add_delta(_index(data), _object(data.get("delta")), chunks)
            case "content_block_stop":
                self._end_block(_index(data), chunks)
            case "message_delta":
                self._count(data.get("usage"))
                self._stop(_object(data.get("delta")), chunks)
            case "message_stop":
                self.has_ended = True
            case None | "message" if is_message(data):
                events = message_to_events(repair_message(data))
                return [chunk for event in events for chunk in self.feed(event)]
        return chunks

    def close(self, *, done: bool = False) -> list[ChatChunk]:
        """Return the chunks that end the stream. Call once, after Copilot's last event."""
        chunks: list[ChatChunk] = []
        for index in list(self._blocks):
            self._end_block(index, chunks)
        if done and self._finish is None and self._chunks.has_started:
            self._finish = unstated_reason(self._calls)
        last = self._chunks.end(self._finish, self._calls, self.usage, self.copilot_usage)
        return [*chunks, *last]

    @property
    def is_finished(self) -> bool:
        """Whether the model has finished, so that only token counts can follow."""
        return self._finish is not None

    @property
    def finish_reason(self) -> str | None:
        """The reason why the model stopped, as one of OpenAI's finish reasons."""
        return self._finish

    def _stop(self, delta: Json, chunks: list[ChatChunk]) -> None:
        reason = delta.get("stop_reason")
        if not isinstance(reason, str) or not reason:
            return
        self._start(chunks)
        self._finish = openai_reason(reason)
        if reason == PAUSED and self.notes is not None:
            self.notes.append(_PAUSED_NOTE)
        if reason == "refusal":
            self._add_text("refusal", explanation(delta), chunks)

    def _start_message(self, message: Json, chunks: list[ChatChunk]) -> None:
        if not self._chunks.has_started and isinstance(message.get("id"), str):
            self._id = message["id"]
        self._count(message.get("usage"))
        self._start(chunks)

    def _start(self, chunks: list[ChatChunk]) -> None:
        """Add the first chunk, unless it was already added."""
        if not self._chunks.has_started:
            chunks.append(self._chunks.start(self._id))

    def _count(self, usage: object) -> None:
        if isinstance(usage, dict):
            self._counts = add_usage(self._counts, usage)
            self.usage = usage_to_chat(self._counts)

    def _start_block(self, index: int, block: Json, chunks: list[ChatChunk]) -> None:
        self._start(chunks)
        self._end_block(index, chunks)
        self._blocks[index] = {**block, "signature": ""}
        match block.get("type"):
            case "text":
                self._add_text("content", block.get("text"), chunks)
            case "thinking":
                self._reasoning.start()
                self._add_thinking(block.get("thinking"), chunks)
                self._add_signature(index, block.get("signature"))
            case "tool_use":
                function = {"name": block.get("name")}
                call = {"index": index, "id": block.get("id"), "function": function}
                self._add_call(call, chunks)

    def _add_delta(self, index: int, delta: Json, chunks: list[ChatChunk]) -> None:
        self._start(chunks)
        match delta.get("type"):
            case "text_delta":
                self._add_text("content", delta.get("text"), chunks)
            case "thinking_delta":
                self._add_thinking(delta.get("thinking"), chunks)
            case "signature_delta":
                self._add_signature(index, delta.get("signature"))
            case "input_json_delta" if self._has_type(index, "tool_use"):
                text = delta.get("partial_json")
                if isinstance(text, str) and text:
                    self._blocks[index]["input"] = None
                    self._add_call({"index": index, "function": {"arguments": text}}, chunks)

    def _end_block(self, index: int, chunks: list[ChatChunk]) -> None:
        block = self._blocks.pop(index, {})
        match block.get("type"):
            case "thinking" if block["signature"]:
                opaque = self._reasoning.sign(block["signature"])
                self._add_text("reasoning_opaque", opaque, chunks)
            case "redacted_thinking" if isinstance(block.get("data"), str) and block["data"]:
                self._reasoning.start()
                opaque = self._reasoning.sign(block["data"], redacted=True)
                self._add_text("reasoning_opaque", opaque, chunks)
            case "tool_use" if isinstance(block.get("input"), dict) and block["input"]:
                # There were no deltas, because the start of the block contained the entire input.
                arguments = msgspec.json.encode(block["input"]).decode()
                self._add_call({"index": index, "function": {"arguments": arguments}}, chunks)

    def _has_type(self, index: int, block_type: str) -> bool:
        return self._blocks.get(index, {}).get("type") == block_type

    def _add_text(self, name: str, text: object, chunks: list[ChatChunk]) -> None:
        if isinstance(text, str) and text:
            chunks.append(self._chunks.chunk({name: text}))

    def _add_thinking(self, text: object, chunks: list[ChatChunk]) -> None:
        if isinstance(text, str):
            self._add_text("reasoning_content", self._reasoning.text(text), chunks)

    def _add_signature(self, index: int, signature: object) -> None:
        if self._has_type(index, "thinking") and isinstance(signature, str):
            self._blocks[index]["signature"] += signature

    def _add_call(self, fragment: Json, chunks: list[ChatChunk]) -> None:
        if deltas := self._calls.feed([fragment]):
            chunks.append(self._chunks.chunk({"tool_calls": deltas}))


def _object(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def _index(data: MessagesEvent) -> int:
    index = data.get("index")
    return index if type(index) is int else 0
