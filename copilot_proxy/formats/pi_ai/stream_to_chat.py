"""Translates the events of a pi-ai response into chat chunks.

The events are pi-ai's `AssistantMessageEvent` without `partial`. Instead, the sidecar adds ``api``
to ``start``. To ``toolcall_start`` and ``thinking_end``, it adds ``block``, which contains some
fields of the content block received so far. The events that end a block have ``content`` only if
the block had no deltas.

pi-ai treats some normal endings as failures, and does not report everything. The sidecar therefore
adds fields to ``done`` and ``error``: ``finished`` is whether Copilot signaled that the response is
complete, and ``last`` is Copilot's event with the finish reason. ``unread`` contains the fields
that pi-ai does not read: ``copilot_usage``; on Chat Completions, also ``usage``,
``reasoning_opaque`` and ``refusal``; and for Claude, also ``input_transformations``.

Two other inputs are accepted: a whole `AssistantMessage`, and ``{"type": "whole", "api", "body"}``
with a response that Copilot did not stream. pi-ai cannot parse such a response.
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final

import msgspec

from copilot_proxy.errors import BrokenResponse
from copilot_proxy.formats.chat_completions.chunk_translator import ChunkTranslator
from copilot_proxy.formats.chat_completions.chunks import Chunks
from copilot_proxy.formats.chat_completions.stream_repair import ChatRepair
from copilot_proxy.formats.chat_completions.tool_calls import ToolCalls
from copilot_proxy.formats.messages.encrypted_reasoning import ReasoningWriter
from copilot_proxy.formats.messages.stream_to_chat import MessagesToChat
from copilot_proxy.formats.messages.transformations import FIELD, note_transformations
from copilot_proxy.formats.pi_ai.finish import (
    copilot_usage_of,
    error_of,
    finish_reason,
    refusal_of,
    unread,
    usage_of,
)
from copilot_proxy.formats.pi_ai.models import PiApi
from copilot_proxy.formats.reasoning_cache import ReasoningRecorder
from copilot_proxy.formats.responses.encrypted_reasoning import opaque_piece
from copilot_proxy.formats.responses.stream_to_chat import ResponsesToChat
from copilot_proxy.formats.types import ChatChunk, ChatUsage, CopilotUsage, Json, PiAiEvent

_REASONS: Final[Mapping[str, str]] = {
    "stop": "stop",
    "length": "length",
    "toolUse": "tool_calls",
}
_READERS: Final[Mapping[PiApi, Callable[..., ChatRepair | ResponsesToChat | MessagesToChat]]] = {
    "anthropic-messages": MessagesToChat,
    "openai-responses": ResponsesToChat,
    "openai-completions": ChatRepair,
}
"""The translators of responses that Copilot did not stream."""
_DECODER: Final = json.JSONDecoder()


class PiAiToChat(ChunkTranslator):
    """Translates one response of pi-ai to chat chunks.

    `feed` accepts the decoded JSON of an event and returns its chunks; `close` returns the chunks
    that end the stream. Both raise `UpstreamError` if the response is broken. `usage` contains the
    token counts, and `copilot_usage` contains GitHub's charge, once they are known. `now` is in
    seconds since 1970.
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
        self._options: dict[str, Any] = {
            "include_usage": include_usage,
            "now": now,
            "recorder": recorder,
            "tool_names": tool_names,
            "custom_tools": custom_tools,
            "used_ids": used_ids,
        }
        self._model = model
        self._chunks = Chunks(model, include_usage=include_usage, now=now, recorder=recorder)
        self._finish: str | None = None
        self._calls = ToolCalls(tool_names, custom_tools, used_ids)
        self._arguments: dict[int, list[str]] = {}
        """Content index -> the parts of the call's arguments so far."""
        self._sealer = ReasoningWriter()
        self._has_encrypted = False
        self._api = ""
        self._whole: ChatRepair | ResponsesToChat | MessagesToChat | None = None
        self.usage: ChatUsage | None = None
        self.copilot_usage: CopilotUsage | None = None

    def feed(self, data: object) -> list[ChatChunk]:
        """Return the chunks for one event, or for a whole message or response."""
        if not isinstance(data, dict):
            raise BrokenResponse("pi-ai sent an event that is not a JSON object.")
        if data.get("role") == "assistant":
            return [chunk for event in events_of(data) for chunk in self.feed(event)]
        if data.get("type") == "whole":
            return self._feed_whole(data)
        if self.notes is not None and FIELD in data:
            note_transformations(data, self.notes)
        block = data.get("block")
        block = block if isinstance(block, dict) else {}
        delta = _text(data, "delta")
        chunks: list[ChatChunk] = []
        match data.get("type"):
            case "start":
                # No chunk yet, so that an early failure can still set the status code.
                self._api = str(data.get("api") or "")
            case "text_delta":
                self._add("content", delta, chunks)
            case "thinking_start":
                self._sealer.start()
            case "thinking_delta":
                self._add("reasoning_content", self._sealer.text(delta), chunks)
            case "text_end":
                self._add("content", _text(data, "content"), chunks)
            case "thinking_end":
                if block.get("redacted") is not True:
                    text = self._sealer.text(_text(data, "content"))
                    self._add("reasoning_content", text, chunks)
                self._add("reasoning_opaque", self._opaque(block), chunks)
            case "toolcall_start":
                self._add_call(_index(data), block, "", chunks)
            case "toolcall_delta":
                self._add_call(_index(data), {}, delta, chunks)
            case "toolcall_end":
                self._end_call(data, chunks)
            case "done":
                self._end(data, chunks)
            case "error":
                self._fail(data, chunks)
        return chunks

    def close(self, *, done: bool = False) -> list[ChatChunk]:
        """Return the chunks that end the stream. Must be called once, after the last event."""
        if self._whole is not None:
            return self._whole.close(done=True)
        return self._chunks.end(self._finish, self._calls, self.usage, self.copilot_usage)

    @property
    def is_finished(self) -> bool:
        """Whether the response has ended."""
        return self._finish is not None

    @property
    def finish_reason(self) -> str | None:
        """The reason why the model stopped, as one of OpenAI's finish reasons."""
        return self._finish

    def _start(self, chunks: list[ChatChunk]) -> None:
        if not self._chunks.has_started:
            chunks.append(self._chunks.start())

    def _add(self, name: str, text: str, chunks: list[ChatChunk]) -> None:
        if text:
            self._start(chunks)
            chunks.append(self._chunks.chunk({name: text}))

    def _opaque(self, block: Json) -> str:
        """Return what a thinking block's signature contributes to `reasoning_opaque`."""
        signature = block.get("thinkingSignature")
        if not isinstance(signature, str) or not signature:
            return ""
        if self._api == "anthropic-messages":
            return self._sealer.sign(signature, redacted=block.get("redacted") is True)
        if self._api != "openai-responses":
            return ""  # Here, the signature is only the name of a field.
        try:
            encrypted = msgspec.json.decode(signature)["encrypted_content"]
        except (msgspec.DecodeError, KeyError, TypeError, RecursionError):
            return ""
        if not isinstance(encrypted, str):
            return ""
        piece = opaque_piece(encrypted, first=not self._has_encrypted)
        self._has_encrypted = self._has_encrypted or bool(piece)
        return piece

    def _add_call(self, index: int, block: Json, text: str, chunks: list[ChatChunk]) -> None:
        fragment: Json = {"index": index, "function": {"name": block.get("name")}}
        if isinstance(block.get("id"), str):
            # The part after the bar is an item id, which is only valid on its own connection.
            fragment["id"] = block["id"].partition("|")[0]
        if text:
            self._arguments.setdefault(index, []).append(text)
            fragment["function"]["arguments"] = text
        self._start(chunks)
        if (block or text) and (deltas := self._calls.feed([fragment])):
            chunks.append(self._chunks.chunk({"tool_calls": deltas}))

    def _end_call(self, event: PiAiEvent, chunks: list[ChatChunk]) -> None:
        """Add the complete arguments, if they were not sent as deltas."""
        call = event.get("toolCall")
        arguments = call.get("arguments") if isinstance(call, dict) else None
        index = _index(event)
        if index not in self._arguments and isinstance(arguments, dict) and arguments:
            self._add_call(index, {}, msgspec.json.encode(arguments).decode(), chunks)

    def _end(self, event: PiAiEvent, chunks: list[ChatChunk]) -> None:
        self._count(event)
        if event.get("finished") is False:
            return  # `close` then raises an error, because there is no finish reason.
        if any(_is_several_objects("".join(pieces)) for pieces in self._arguments.values()):
            raise BrokenResponse(
                "pi-ai joined several of the model's tool calls into one.",
                hint="Start the server without --upstream pi-ai for this model and these tools.",
            )
        finish = finish_reason(event) or self._unstated_reason(event)
        self._start(chunks)
        self._add("reasoning_opaque", unread(event, "reasoning_opaque"), chunks)
        self._set_finish(finish, event, chunks)

    def _unstated_reason(self, event: PiAiEvent) -> str:
        """Return the finish reason to use if Copilot's is unknown.

        On Chat Completions, a response without content means that the output limit left no room for
        text.
        """
        is_chat = self._api == "openai-completions"
        if is_chat and self.usage is not None and not self._chunks.has_started:
            return "length"
        return _REASONS.get(str(event.get("reason")), "stop")

    def _fail(self, event: PiAiEvent, chunks: list[ChatChunk]) -> None:
        """End the stream, or raise the error if Copilot sent no finish reason.

        pi-ai reports some normal endings as failures.
        """
        self._count(event)
        finish = finish_reason(event)
        if finish is None:
            raise error_of(event)
        self._start(chunks)
        self._set_finish(finish, event, chunks)

    def _count(self, event: PiAiEvent) -> None:
        self.usage, self.copilot_usage = usage_of(event), copilot_usage_of(event)

    def _set_finish(self, finish: str, event: PiAiEvent, chunks: list[ChatChunk]) -> None:
        self._finish = finish
        refuses = finish == "content_filter"
        self._add("refusal", refusal_of(event) if refuses else unread(event, "refusal"), chunks)

    def _feed_whole(self, data: PiAiEvent) -> list[ChatChunk]:
        """Return the chunks for a response that Copilot did not stream."""
        reader = _READERS[data["api"]]
        self._whole = reader(self._model, **self._options)
        chunks = self._whole.feed(data.get("body"))
        self.usage, self.copilot_usage = self._whole.usage, self._whole.copilot_usage
        return chunks


def events_of(message: Json) -> Iterator[PiAiEvent]:
    """Yield the events of a whole `AssistantMessage`, with one delta for each content block."""
    yield {"type": "start", "api": message.get("api")}
    content = message.get("content")
    blocks = content if isinstance(content, list) else []
    for index, block in enumerate(one for one in blocks if isinstance(one, dict)):
        fields = {"contentIndex": index, "block": block}
        match block.get("type"):
            case "text":
                yield {"type": "text_delta", "delta": block.get("text"), **fields}
            case "thinking":
                yield {"type": "thinking_start", **fields}
                if block.get("redacted") is not True:
                    yield {"type": "thinking_delta", "delta": block.get("thinking"), **fields}
                yield {"type": "thinking_end", **fields}
            case "toolCall":
                yield {"type": "toolcall_start", **fields}
                yield {"type": "toolcall_end", "toolCall": block, **fields}
    reason = message.get("stopReason")
    if reason in ("error", "aborted"):
        yield {"type": "error", "reason": reason, "error": message}
    else:
        yield {"type": "done", "reason": reason, "message": message}


def _is_several_objects(arguments: str) -> bool:
    """Return whether `arguments` contains more than one JSON object."""
    try:
        value, end = _DECODER.raw_decode(arguments.lstrip())
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and arguments.lstrip()[end:].lstrip().startswith("{")


def _text(event: PiAiEvent, name: str) -> str:
    text = event.get(name)
    return text if isinstance(text, str) else ""


def _index(event: PiAiEvent) -> int:
    index = event.get("contentIndex")
    return index if type(index) is int else 0
