"""Translates responses of Copilot's Responses API to chat chunks."""

from collections.abc import Collection, KeysView, Mapping
from typing import Any, Final

from copilot_proxy.formats import broken_responses
from copilot_proxy.formats.chat_completions.chunk_translator import ChunkTranslator
from copilot_proxy.formats.chat_completions.chunks import Chunks, shared_fields
from copilot_proxy.formats.chat_completions.tool_calls import ToolCalls
from copilot_proxy.formats.reasoning_cache import ReasoningRecorder
from copilot_proxy.formats.responses import encrypted_reasoning
from copilot_proxy.formats.responses.event_indexes import EventIndexes
from copilot_proxy.formats.responses.item_positions import CALLS, ItemPositions
from copilot_proxy.formats.responses.response_events import TERMINAL
from copilot_proxy.formats.responses.usage import usage_to_chat
from copilot_proxy.formats.types import (
    ChatChunk,
    ChatUsage,
    CopilotUsage,
    Json,
    Response,
    ResponsesEvent,
)
from copilot_proxy.formats.upstream_errors import parse_error_event

_TEXTS: Final = {
    # The kind of text, the event's field for the whole text, and its field for the part's index.
    "response.output_text": ("text", "text", "content_index"),
    "response.refusal": ("refusal", "refusal", "content_index"),
    "response.reasoning_summary_text": ("summary", "text", "summary_index"),
    "response.reasoning_text": ("reasoning", "text", "content_index"),
}
_FIELDS: Final = {
    # Kind of text -> the chunk's field, and the type of the item that contains it.
    "text": ("content", "message"),
    "refusal": ("refusal", "message"),
    "summary": ("reasoning_content", "reasoning"),
    "reasoning": ("reasoning_content", "reasoning"),
}
_ITEM_EVENTS: Final = ("response.output_item.added", "response.output_item.done")
_STATUSES: Final = {event: status for status, event in TERMINAL.items()}
_ARGUMENTS: Final = {
    # The event's field for the complete arguments or input.
    "response.function_call_arguments": "arguments",
    "response.custom_tool_call_input": "input",
}

_Key = tuple[str, int, int]
"""The kind of text, the item's output index, and the part's index."""


class ResponsesToChat(ChunkTranslator):
    """Translates a response from Copilot's Responses API, event by event.

    `feed` accepts the decoded JSON of an event, or of a whole response, and returns its chunks.
    `close` returns the last chunks, including the finish reason. Both raise `UpstreamError` if the
    response is broken or is an error. `usage` and `copilot_usage` are Copilot's counts so far.
    `now` is in seconds since 1970.
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
        self._created = 0
        self._shared: dict[str, str] = {}
        self._calls = ToolCalls(tool_names, custom_tools, used_ids)
        self._indexes = EventIndexes()
        self._last: tuple[str, object, KeysView[str]] = ("", None, {}.keys())
        """The type, output index and field names of the last event to which no index had to be
        added. Similar events are not checked."""
        self._sent: dict[_Key, list[str]] = {}
        """The text deltas of each part so far. When the whole text arrives, only the rest of it is
        added."""
        self._arguments: dict[int, list[str]] = {}
        """The deltas of each call's arguments so far, by output index, because ids change."""
        self._custom: set[int] = set()
        """The output indexes of calls to custom tools."""
        self._call_ids: set[str] = set()
        self._positions = ItemPositions()
        self._encrypted: set[int] = set()
        """The output indexes of the items whose encrypted reasoning was added."""
        self._paragraph: dict[str, object] = {}
        """The chunk's field -> what its last text belongs to."""
        self.finish_reason: str | None = None
        self.usage: ChatUsage | None = None
        self.copilot_usage: CopilotUsage | None = None

    @property
    def is_finished(self) -> bool:
        """Whether the response has ended."""
        return self.finish_reason is not None

    def feed(self, data: object) -> list[ChatChunk]:
        """Return the chunks for an event, or for a whole response."""
        if not isinstance(data, dict):
            raise broken_responses.not_an_object()
        if self.finish_reason is not None:
            return []
        kind = data.get("type")
        if not isinstance(kind, str):
            if data.get("error"):
                raise parse_error_event(data)
            is_whole = isinstance(data.get("output"), list)
            status = _text(data.get("status")) or "completed"
            return self._end(status, data, data) if is_whole else []
        if kind == "error":
            raise parse_error_event(data if data.get("error") else {"error": data})
        response = data.get("response")
        if isinstance(response, dict):
            if kind in _STATUSES:
                self.has_ended = True
                return self._end(_STATUSES[kind], response, data)
            self._note_head(response)
            return []
        return self._event(kind, data)

    def close(self, *, done: bool = False) -> list[ChatChunk]:
        """Return the chunks that end the stream. Must be called once, when the upstream response
        has ended."""
        return self._chunks.end(self.finish_reason, self._calls, self.usage, self.copilot_usage)

    def _event(self, kind: str, data: ResponsesEvent) -> list[ChatChunk]:
        # Most events are another delta of the same text.
        if self._last != (kind, data.get("output_index"), data.keys()):
            complete = self._indexes.complete(kind, data)
            if complete is data:
                self._last = (kind, data.get("output_index"), data.keys())
            data = complete
        index = data.get("output_index")
        index = index if type(index) is int else 0
        item = data.get("item")
        if kind in _ITEM_EVENTS and isinstance(item, dict):
            self._positions.add(item.get("type"), index)
            is_done = kind == "response.output_item.done"
            return self._item(index, item) if is_done else self._open_call(index, item)
        base, _, stage = kind.rpartition(".")
        if base in _ARGUMENTS and index in self._arguments:
            if stage == "delta":
                return self._add_arguments(index, _text(data.get("delta")))
            return self._add_missing_arguments(index, _text(data.get(_ARGUMENTS[base])))
        if base in _TEXTS:
            name, whole, part = _TEXTS[base]
            number = data.get(part)
            key = (name, index, number if type(number) is int else 0)
            if stage == "delta":
                return self._add_text(key, _text(data.get("delta")))
            return self._add_missing_text(key, _text(data.get(whole)))
        return []

    def _add_text(self, key: _Key, text: str) -> list[ChatChunk]:
        if not text:
            return []
        name, index, _ = key
        field, item_type = _FIELDS[name]
        if (pieces := self._sent.get(key)) is None:
            pieces = self._sent[key] = []
            self._positions.add(item_type, index)
            # The parts of reasoning are paragraphs, and so are the texts of different messages.
            paragraph = index if item_type == "message" else key
            is_next = self._paragraph.get(field, paragraph) != paragraph
            self._paragraph[field] = paragraph
            pieces.append(text)
            return self._delta({field: f"\n\n{text}" if is_next else text})
        pieces.append(text)
        return self._delta({field: text})

    def _add_missing_text(self, key: _Key, whole: str) -> list[ChatChunk]:
        """Add the unsent part of a complete text; some models send it only at the end."""
        return self._add_text(key, _missing(self._sent.get(key, []), whole))

    def _open_call(self, index: int, item: Json) -> list[ChatChunk]:
        if item.get("type") not in CALLS or index in self._arguments:
            return []
        self._arguments[index] = []
        call_id = _text(item.get("call_id"))
        self._call_ids.add(str(item.get("call_id")))
        fragment: Json = {"index": index, "id": call_id}
        if item["type"] == "custom_tool_call":
            self._custom.add(index)
            fragment["custom"] = {"name": item.get("name"), "input": ""}
        else:
            fragment["function"] = {"name": item.get("name"), "arguments": ""}
        return self._call(fragment)

    def _add_arguments(self, index: int, text: str) -> list[ChatChunk]:
        if not text:
            return []
        self._arguments[index].append(text)
        if index in self._custom:
            return self._call({"index": index, "custom": {"input": text}})
        return self._call({"index": index, "function": {"arguments": text}})

    def _add_missing_arguments(self, index: int, whole: str) -> list[ChatChunk]:
        return self._add_arguments(index, _missing(self._arguments[index], whole))

    def _item(self, index: int, item: Json) -> list[ChatChunk]:
        """Add those parts of a whole item that were not streamed."""
        chunks: list[ChatChunk] = []
        match item.get("type"):
            case "message":
                for number, part in enumerate(_objects(item.get("content"))):
                    name = "refusal" if "refusal" in part else "text"
                    chunks += self._add_missing_text((name, index, number), _text(part.get(name)))
            case "reasoning":
                for field, name in (("summary", "summary"), ("content", "reasoning")):
                    for number, part in enumerate(_objects(item.get(field))):
                        text = _text(part.get("text"))
                        chunks += self._add_missing_text((name, index, number), text)
                chunks += self._add_encrypted(index, _text(item.get("encrypted_content")))
            case "function_call":
                chunks += self._open_call(index, item)
                chunks += self._add_missing_arguments(index, _text(item.get("arguments")))
            case "custom_tool_call":
                chunks += self._open_call(index, item)
                chunks += self._add_missing_arguments(index, _text(item.get("input")))
        return chunks

    def _add_encrypted(self, index: int, encrypted: str) -> list[ChatChunk]:
        piece = encrypted_reasoning.opaque_piece(encrypted, first=not self._encrypted)
        if not piece or index in self._encrypted:
            return []
        self._encrypted.add(index)
        return self._delta({"reasoning_opaque": piece})

    def _end(self, status: str, response: Response, event: ResponsesEvent) -> list[ChatChunk]:
        self._note_head(response)
        self.usage = usage_to_chat(response.get("usage"))
        costs = event.get("copilot_usage") or response.get("copilot_usage")
        self.copilot_usage = costs if isinstance(costs, dict) else None
        if status == "failed":
            error = response.get("error")
            raise parse_error_event({"error": error if isinstance(error, dict) else {}})
        chunks: list[ChatChunk] = []
        sent = {index for _, index, _ in self._sent} | self._encrypted
        streamed = frozenset(self._call_ids)
        for index, item in self._positions.of(_objects(response.get("output")), streamed):
            chunks += [] if index in sent else self._item(index, item)
        self.finish_reason = _finish(status, response.get("incomplete_details"))
        return [*chunks, *self._start()] if self.finish_reason else chunks

    def _note_head(self, response: Response) -> None:
        self._shared |= shared_fields(response)
        created = response.get("created_at")
        if type(created) is int and created > 0:
            self._created = created

    def _call(self, fragment: Json) -> list[ChatChunk]:
        deltas = self._calls.feed([fragment])
        return self._delta({"tool_calls": deltas}) if deltas else self._start()

    def _delta(self, delta: Json) -> list[ChatChunk]:
        chunk = self._chunks.chunk
        if self._chunks.has_started:
            return [chunk(delta)]
        return [*self._start(), chunk(delta)]

    def _start(self) -> list[ChatChunk]:
        """Return a list with the first chunk, or an empty list if it was already returned."""
        has_started = self._chunks.has_started
        return [] if has_started else [self._chunks.start("", self._created, self._shared)]


def _finish(status: str, details: object) -> str | None:
    """Return the chat API's finish reason, or None if the response has not ended."""
    if status == "completed":
        return "stop"
    if status != "incomplete":
        return None
    reason = details.get("reason") if isinstance(details, dict) else None
    return "content_filter" if reason == "content_filter" else "length"


def _missing(pieces: list[str], whole: str) -> str:
    """Return what follows the deltas in `whole`, or "" if `whole` does not start with them."""
    sent = "".join(pieces)
    return whole[len(sent) :] if whole.startswith(sent) else ""


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _objects(value: Any) -> list[Json]:
    return [v for v in value if isinstance(v, dict)] if isinstance(value, list) else []
