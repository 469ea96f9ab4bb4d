"""The answer of Copilot's Claude, repaired and put into OpenAI's chunks.

`MessagesToChat` takes the JSON of Messages events, or one whole message, and gives the chunks that
`formats.chat_completions.stream.ChatRepair` would.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from copilot_proxy.errors import BrokenResponse
from copilot_proxy.formats.chat_completions.chunk_translator import ChunkTranslator
from copilot_proxy.formats.chat_completions.chunks import Chunks
from copilot_proxy.formats.chat_completions.tool_calls import ToolCalls
from copilot_proxy.formats.messages.message_events import events_of
from copilot_proxy.formats.messages.schema import Json
from copilot_proxy.formats.messages.sealed_reasoning import Sealer
from copilot_proxy.formats.messages.stream_repair import is_message, repair_whole
from copilot_proxy.formats.messages.usage import add_usage, to_openai
from copilot_proxy.formats.reasoning_cache import ReasoningRecorder
from copilot_proxy.formats.upstream_errors import parse_error_event

_FINISH_REASONS: Final[Mapping[str, str]] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "content_filter",
}


class MessagesToChat(ChunkTranslator):
    """One answer of Copilot's Messages API, event by event.

    `feed` takes the decoded JSON of an event and returns the chunks it makes; `close` ends the
    stream and returns the last ones, the finish among them. Both raise `UpstreamError` when the
    answer is not one. `usage` and `copilot_usage` hold upstream's counts as far as they have come.
    """

    def __init__(
        self,
        model: str,
        *,
        include_usage: bool = False,
        now: int | None = None,
        recorder: ReasoningRecorder | None = None,
        tool_names: Mapping[str, str] | None = None,
    ) -> None:
        self._chunks = Chunks(model, include_usage=include_usage, now=now, recorder=recorder)
        self._id = ""
        self._finish: str | None = None
        self._calls = ToolCalls(tool_names)
        self._sealer = Sealer()
        self._blocks: dict[int, Json] = {}  # the blocks that have begun and not ended
        self._counts: Json = {}
        self.usage: Json | None = None
        self.copilot_usage: Json | None = None

    def feed(self, data: object) -> list[Json]:
        """The chunks of one event, or of a whole answer."""
        if not isinstance(data, dict):
            raise BrokenResponse("Copilot sent an event that is not a JSON object.")
        if data.get("type") == "error" or data.get("error"):
            raise parse_error_event(data)
        if is_message(data):
            return [chunk for part in events_of(repair_whole(data)) for chunk in self.feed(part)]
        if isinstance(data.get("copilot_usage"), dict):
            self.copilot_usage = data["copilot_usage"]
        chunks: list[Json] = []
        match data.get("type"):
            case "message_start":
                self._begin(_object(data.get("message")), chunks)
            case "content_block_start":
                self._begin_block(_index(data), _object(data.get("content_block")), chunks)
            case "content_block_delta":
                self._take(_index(data), _object(data.get("delta")), chunks)
            case "content_block_stop":
                self._end_block(_index(data), chunks)
            case "message_delta":
                self._count(data.get("usage"))
                reason = _object(data.get("delta")).get("stop_reason")
                if isinstance(reason, str) and reason:
                    self._start(chunks)
                    self._finish = _FINISH_REASONS.get(reason, "stop")
            case "message_stop":
                self.has_ended = True
        return chunks

    def close(self) -> list[Json]:
        """The chunks that end the stream; to be called once, when upstream has ended."""
        chunks: list[Json] = []
        for index in list(self._blocks):
            self._end_block(index, chunks)
        last = self._chunks.end(self._finish, self._calls, self.usage, self.copilot_usage)
        return [*chunks, *last]

    @property
    def is_finished(self) -> bool:
        """Whether the model has said that it is done; only counts may still follow."""
        return self._finish is not None

    def _begin(self, message: Json, chunks: list[Json]) -> None:
        if not self._chunks.has_begun and isinstance(message.get("id"), str):
            self._id = message["id"]
        self._count(message.get("usage"))
        self._start(chunks)

    def _start(self, chunks: list[Json]) -> None:
        if not self._chunks.has_begun:
            chunks.append(self._chunks.begin(self._id))

    def _count(self, usage: object) -> None:
        if isinstance(usage, dict):
            self._counts = add_usage(self._counts, usage)
            self.usage = to_openai(self._counts)

    def _begin_block(self, index: int, block: Json, chunks: list[Json]) -> None:
        self._start(chunks)
        self._end_block(index, chunks)
        self._blocks[index] = {**block, "signature": ""}
        match block.get("type"):
            case "text":
                self._add("content", block.get("text"), chunks)
            case "thinking":
                self._add("reasoning_content", self._sealer.begin(), chunks)
                self._think(block.get("thinking"), chunks)
                self._sign(index, block.get("signature"))
            case "tool_use":
                function = {"name": block.get("name")}
                self._call({"index": index, "id": block.get("id"), "function": function}, chunks)

    def _take(self, index: int, delta: Json, chunks: list[Json]) -> None:
        self._start(chunks)
        match delta.get("type"):
            case "text_delta":
                self._add("content", delta.get("text"), chunks)
            case "thinking_delta":
                self._think(delta.get("thinking"), chunks)
            case "signature_delta":
                self._sign(index, delta.get("signature"))
            case "input_json_delta" if self._is(index, "tool_use"):
                text = delta.get("partial_json")
                if isinstance(text, str) and text:
                    self._blocks[index]["input"] = None
                    self._call({"index": index, "function": {"arguments": text}}, chunks)

    def _end_block(self, index: int, chunks: list[Json]) -> None:
        block = self._blocks.pop(index, {})
        match block.get("type"):
            case "thinking" if block["signature"]:
                self._add("reasoning_opaque", self._sealer.seal(block["signature"]), chunks)
            case "redacted_thinking" if isinstance(block.get("data"), str) and block["data"]:
                self._add("reasoning_content", self._sealer.begin(), chunks)
                opaque = self._sealer.seal(block["data"], redacted=True)
                self._add("reasoning_opaque", opaque, chunks)
            case "tool_use" if isinstance(block.get("input"), dict) and block["input"]:
                # The whole input came with the beginning of the block.
                arguments = msgspec.json.encode(block["input"]).decode()
                self._call({"index": index, "function": {"arguments": arguments}}, chunks)

    def _is(self, index: int, kind: str) -> bool:
        return self._blocks.get(index, {}).get("type") == kind

    def _add(self, name: str, text: object, chunks: list[Json]) -> None:
        if isinstance(text, str) and text:
            chunks.append(self._chunks.chunk({name: text}))

    def _think(self, text: object, chunks: list[Json]) -> None:
        if isinstance(text, str):
            self._add("reasoning_content", self._sealer.text(text), chunks)

    def _sign(self, index: int, signature: object) -> None:
        if self._is(index, "thinking") and isinstance(signature, str):
            self._blocks[index]["signature"] += signature

    def _call(self, fragment: Json, chunks: list[Json]) -> None:
        if deltas := self._calls.feed([fragment]):
            chunks.append(self._chunks.chunk({"tool_calls": deltas}))


def _object(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def _index(data: Json) -> int:
    index = data.get("index")
    return index if type(index) is int else 0
