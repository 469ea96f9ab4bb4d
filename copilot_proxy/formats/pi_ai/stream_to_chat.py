"""The events of pi-ai's answer, put into OpenAI's chunks.

The events are pi-ai's `AssistantMessageEvent`, but for `partial`: in its place the sidecar gives
``block``, what is known of the piece of content that an event is about, and ``api`` with ``start``;
``content`` stands at an end only if there was no delta of it.
pi-ai takes every end of a stream for a good one, and tells only half of the reasons for it, so
``done`` and ``error`` have ``finished``, whether Copilot has said that the answer is complete, and
``last``, the event of Copilot's that says why. A whole `AssistantMessage` is taken as well, and an
answer of Copilot's in one piece, which pi-ai cannot read: ``{"type": "whole", "api", "body"}``.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import msgspec

from copilot_proxy.errors import BrokenResponse
from copilot_proxy.formats.chat_completions.chunk_translator import ChunkTranslator
from copilot_proxy.formats.chat_completions.chunks import Chunks
from copilot_proxy.formats.chat_completions.stream_repair import ChatRepair
from copilot_proxy.formats.chat_completions.tool_calls import ToolCalls
from copilot_proxy.formats.messages.encrypted_reasoning import ReasoningWriter
from copilot_proxy.formats.messages.stream_to_chat import MessagesToChat
from copilot_proxy.formats.pi_ai.finish import counts_of, failure_of, finish_of
from copilot_proxy.formats.pi_ai.models import PiApi
from copilot_proxy.formats.reasoning_cache import ReasoningRecorder
from copilot_proxy.formats.responses.sealed_reasoning import seal
from copilot_proxy.formats.responses.stream_to_chat import ResponsesToChat

Json = dict[str, Any]

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
"""Who reads an answer in one piece."""
_DECODER: Final = json.JSONDecoder()


class PiAiToChat(ChunkTranslator):
    """One answer of pi-ai's, event by event.

    `feed` takes the decoded JSON of an event and returns the chunks it makes; `close` ends the
    stream and returns the last ones, the finish among them. Both raise `UpstreamError` when the
    answer is not one. `usage` holds the counts once they have come.
    """

    copilot_usage: Json | None = None
    """What GitHub charges; pi-ai does not tell."""

    def __init__(
        self,
        model: str,
        *,
        include_usage: bool = False,
        now: int | None = None,
        recorder: ReasoningRecorder | None = None,
        tool_names: Mapping[str, str] | None = None,
    ) -> None:
        self._read_by: dict[str, Any] = {
            "include_usage": include_usage,
            "now": now,
            "recorder": recorder,
            "tool_names": tool_names,
        }
        self._model = model
        self._chunks = Chunks(model, include_usage=include_usage, now=now, recorder=recorder)
        self._finish: str | None = None
        self._calls = ToolCalls(tool_names)
        self._arguments: dict[int, list[str]] = {}  # of each call, as far as they have come
        self._sealer = ReasoningWriter()
        self._sealed = False
        self._api = ""
        self._whole: ChatRepair | ResponsesToChat | MessagesToChat | None = None
        self.usage: Json | None = None

    def feed(self, data: object) -> list[Json]:
        """The chunks of one event, or of a whole message or answer."""
        if not isinstance(data, dict):
            raise BrokenResponse("pi-ai sent an event that is not a JSON object.")
        if data.get("role") == "assistant":
            return [chunk for event in events_of(data) for chunk in self.feed(event)]
        if data.get("type") == "whole":
            return self._take_whole(data)
        block = data.get("block")
        block = block if isinstance(block, dict) else {}
        delta = _text(data, "delta")
        chunks: list[Json] = []
        match data.get("type"):
            case "start":
                # No chunk yet: what fails before the model says anything is an error of its own.
                self._api = str(data.get("api") or "")
            case "text_delta":
                self._add("content", delta, chunks)
            case "thinking_start":
                self._add("reasoning_content", self._sealer.begin(), chunks)
            case "thinking_delta":
                self._add("reasoning_content", self._sealer.text(delta), chunks)
            case "text_end":
                self._add("content", _text(data, "content"), chunks)
            case "thinking_end":
                if block.get("redacted") is not True:
                    text = self._sealer.text(_text(data, "content"))
                    self._add("reasoning_content", text, chunks)
                self._add("reasoning_opaque", self._seal(block), chunks)
            case "toolcall_start":
                self._call(_index(data), block, "", chunks)
            case "toolcall_delta":
                self._call(_index(data), {}, delta, chunks)
            case "toolcall_end":
                self._end_call(data, chunks)
            case "done":
                self._end(data, chunks)
            case "error":
                self._fail(data, chunks)
        return chunks

    def close(self) -> list[Json]:
        """The chunks that end the stream; to be called once, when pi-ai has ended."""
        if self._whole is not None:
            return self._whole.close()
        return self._chunks.end(self._finish, self._calls, self.usage, None)

    @property
    def is_finished(self) -> bool:
        """Whether pi-ai has said that it is done."""
        return self._finish is not None

    def _start(self, chunks: list[Json]) -> None:
        if not self._chunks.has_begun:
            chunks.append(self._chunks.begin())

    def _add(self, name: str, text: str, chunks: list[Json]) -> None:
        if text:
            self._start(chunks)
            chunks.append(self._chunks.chunk({name: text}))

    def _seal(self, block: Json) -> str:
        """The piece of the opaque value that carries a thought's signature."""
        signature = block.get("thinkingSignature")
        if not isinstance(signature, str) or not signature:
            return ""
        if self._api == "anthropic-messages":
            return self._sealer.sign(signature, redacted=block.get("redacted") is True)
        if self._api != "openai-responses":
            return ""  # the name of a field, no seal
        try:
            encrypted = msgspec.json.decode(signature)["encrypted_content"]
        except (msgspec.DecodeError, KeyError, TypeError, RecursionError):
            return ""
        piece = seal(encrypted, first=not self._sealed) if isinstance(encrypted, str) else ""
        self._sealed = self._sealed or bool(piece)
        return piece

    def _call(self, index: int, block: Json, text: str, chunks: list[Json]) -> None:
        fragment: Json = {"index": index, "function": {"name": block.get("name")}}
        if isinstance(block.get("id"), str):
            # After the bar stands the id of an item, which means nothing outside its connection.
            fragment["id"] = block["id"].partition("|")[0]
        if text:
            self._arguments.setdefault(index, []).append(text)
            fragment["function"]["arguments"] = text
        self._start(chunks)
        if (block or text) and (deltas := self._calls.feed([fragment])):
            chunks.append(self._chunks.chunk({"tool_calls": deltas}))

    def _end_call(self, event: Json, chunks: list[Json]) -> None:
        """Gives the arguments as a whole, if none came before."""
        call = event.get("toolCall")
        arguments = call.get("arguments") if isinstance(call, dict) else None
        index = _index(event)
        if index not in self._arguments and isinstance(arguments, dict) and arguments:
            self._call(index, {}, msgspec.json.encode(arguments).decode(), chunks)

    def _end(self, event: Json, chunks: list[Json]) -> None:
        self.usage = counts_of(event)
        if event.get("finished") is False:
            return  # which `close` finds to be an error
        if any(_are_several("".join(pieces)) for pieces in self._arguments.values()):
            raise BrokenResponse(
                "pi-ai has joined several tool calls of the model's into one.",
                hint="Start the server without --upstream pi-ai for this model and these tools.",
            )
        self._start(chunks)
        reason = _REASONS.get(str(event.get("reason")), "stop")
        self._finish = finish_of(event) or reason

    def _fail(self, event: Json, chunks: list[Json]) -> None:
        """What is a failure for pi-ai need be none: the model may have been done before."""
        self.usage = counts_of(event)
        finish = finish_of(event)
        if finish is None:
            raise failure_of(event)
        self._start(chunks)
        self._finish = finish

    def _take_whole(self, data: Json) -> list[Json]:
        """The chunks of an answer that is whole though a stream was asked for."""
        read = _READERS[data["api"]]
        self._whole = read(self._model, **self._read_by)
        chunks = self._whole.feed(data.get("body"))
        self.usage, self.copilot_usage = self._whole.usage, self._whole.copilot_usage
        return chunks


def events_of(message: Json) -> Iterator[Json]:
    """The events of a whole `AssistantMessage`, one delta for each piece of its content."""
    yield {"type": "start", "api": message.get("api")}
    content = message.get("content")
    blocks = content if isinstance(content, list) else []
    for index, block in enumerate(one for one in blocks if isinstance(one, dict)):
        about = {"contentIndex": index, "block": block}
        match block.get("type"):
            case "text":
                yield {"type": "text_delta", "delta": block.get("text"), **about}
            case "thinking":
                yield {"type": "thinking_start", **about}
                if block.get("redacted") is not True:
                    yield {"type": "thinking_delta", "delta": block.get("thinking"), **about}
                yield {"type": "thinking_end", **about}
            case "toolCall":
                yield {"type": "toolcall_start", **about}
                yield {"type": "toolcall_end", "toolCall": block, **about}
    reason = message.get("stopReason")
    if reason in ("error", "aborted"):
        yield {"type": "error", "reason": reason, "error": message}
    else:
        yield {"type": "done", "reason": reason, "message": message}


def _are_several(arguments: str) -> bool:
    """Whether it is more than one JSON object."""
    try:
        value, end = _DECODER.raw_decode(arguments.lstrip())
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and arguments.lstrip()[end:].lstrip().startswith("{")


def _text(event: Json, name: str) -> str:
    text = event.get(name)
    return text if isinstance(text, str) else ""


def _index(event: Json) -> int:
    index = event.get("contentIndex")
    return index if type(index) is int else 0
