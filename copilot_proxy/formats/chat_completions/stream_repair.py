"""Repairs Copilot's Chat Completions responses so that they match OpenAI's schema.

`ChatRepair` accepts Copilot's events and returns OpenAI's chunks. A whole response is handled as a
single event; `completion_from_chunks` combines its chunks.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final, Literal

import msgspec

from copilot_proxy.formats import broken_responses
from copilot_proxy.formats.chat_completions.chunk_translator import ChunkTranslator
from copilot_proxy.formats.chat_completions.chunks import Chunks, shared_fields, unstated_reason
from copilot_proxy.formats.chat_completions.finish_reasons import openai_reason
from copilot_proxy.formats.chat_completions.refusals import explanation
from copilot_proxy.formats.chat_completions.repeated_chunks import RepeatedChunks
from copilot_proxy.formats.chat_completions.tool_calls import ToolCalls
from copilot_proxy.formats.chat_completions.usage import count_of, one_hour_writes, repair_usage
from copilot_proxy.formats.reasoning_cache import ReasoningRecorder
from copilot_proxy.formats.reasoning_labels import CALL_LABEL
from copilot_proxy.formats.types import (
    ChatChunk,
    ChatCompletion,
    ChatUsage,
    CopilotUsage,
    Json,
    Message,
)
from copilot_proxy.formats.upstream_errors import parse_error_event

_REASONING_FIELDS: Final = ("reasoning_text", "reasoning_content", "thinking", "cot_summary")
_PLAIN: Final = {"content", "role"}
_TEXT_FIELDS: Final = ("content", "refusal", "reasoning_opaque")


class ChatRepair(ChunkTranslator):
    """Repairs one response of Copilot's chat API, event by event.

    `feed` accepts the decoded JSON of an event and returns the resulting chunks. `close` ends the
    stream and returns the last chunks, with the finish reason. Both raise `UpstreamError` if the
    response is an error or invalid. `usage` and `copilot_usage` are Copilot's counts so far.
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
        self._created = 0
        self._shared: dict[str, str] = {}
        self._finish: str | None = None
        self._has_refusal = False
        self._signed: Literal["", "message", "call"] = ""
        """What the model has signed."""
        self.is_finished = False
        self._calls = ToolCalls(tool_names, custom_tools, used_ids)
        self.usage: ChatUsage | None = None
        self.copilot_usage: CopilotUsage | None = None
        self.repeated = RepeatedChunks()

    @property
    def finish_reason(self) -> str | None:
        """The reason why the model stopped, as one of OpenAI's finish reasons."""
        return self._finish

    def feed(self, data: object) -> list[ChatChunk]:
        """Return the chunks for one event, or for a whole response."""
        if not isinstance(data, dict):
            raise broken_responses.not_an_object()
        if "choices" not in data and (
            "stop_reason" in data or isinstance(data.get("content"), list)
        ):
            data = _from_anthropic(data)
        if data.get("error") or data.get("type") == "error":
            raise parse_error_event(data)
        if not self._chunks.has_started:
            self._note_head(data)
        if data.get("usage") is not None or "copilot_usage" in data:
            self._note_counts(data)
        chunks: list[ChatChunk] = []
        choices = data.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict):
                self._take(choice, chunks)
                if choice.get("finish_reason") and not self._has_refusal:
                    self._explain(choice, data, chunks)
        return chunks

    def close(self, *, done: bool = False) -> list[ChatChunk]:
        """Return the chunks that end the stream. Must be called once, after Copilot's last event.

        With `done`, a response without a finish reason is considered complete. One that contains
        only usage is considered an empty answer: Copilot sends such a response if the output limit
        leaves no room for text.
        """
        chunks: list[ChatChunk] = []
        if done and self._finish is None:
            if self._chunks.has_started:
                self._finish = unstated_reason(self._calls)
            elif self.usage is not None:
                chunks.append(self._chunks.start(self._id, self._created, self._shared))
                self._finish = "length"
        last = self._chunks.end(self._finish, self._calls, self.usage, self.copilot_usage)
        return [*chunks, *last]

    def _note_head(self, data: Json) -> None:
        """Keep the fields that all chunks share; events before the first choice may have them."""
        if isinstance(data.get("id"), str) and data["id"]:
            self._id = data["id"]
        created = data.get("created")
        if type(created) is int and created > 0:
            self._created = created
        self._shared |= shared_fields(data)

    def _note_counts(self, data: Json) -> None:
        usage = repair_usage(data["usage"]) if "usage" in data else None
        # Gemini sends zeros until the end, so zeros must not replace earlier counts.
        if usage is not None and (self.usage is None or usage["total_tokens"]):
            self.usage = usage
        if isinstance(data.get("copilot_usage"), dict):
            self.copilot_usage = data["copilot_usage"]

    def _take(self, choice: Json, chunks: list[ChatChunk]) -> None:
        delta = choice.get("delta")
        if not isinstance(delta, dict):
            delta = choice.get("message")
        delta = delta if isinstance(delta, dict) else {}
        if not self._chunks.has_started:
            chunks.append(self._chunks.start(self._id, self._created, self._shared))

        content = delta.get("content")
        if type(content) is str and content and delta.keys() <= _PLAIN:
            out = {"content": content}  # the usual case; checking for other fields is slow
        else:
            out = self._repaired(delta)
        logprobs = _logprobs(choice["logprobs"]) if "logprobs" in choice else None
        if out or logprobs:
            chunks.append(self._chunks.chunk(out, logprobs=logprobs))
        reason = choice.get("finish_reason")
        if isinstance(reason, str) and reason:
            self._finish = openai_reason(reason)
            self.is_finished = True

    def _repaired(self, delta: Json) -> Json:
        out: Json = {}
        for field in _REASONING_FIELDS:
            if field in delta and (text := _text(delta[field])):
                out["reasoning_content"] = text
                break
        for field in _TEXT_FIELDS:
            if field in delta and (text := _text(delta[field])):
                out[field] = text
        if "reasoning_opaque" in out:
            self._signed = self._signed or "message"
            if self._signed == "call":
                del out["reasoning_opaque"]  # joined to the call's signature, it would be useless
        fragments = delta.get("tool_calls")
        if not fragments and isinstance(delta.get("function_call"), dict):
            fragments = [{"function": delta["function_call"]}]  # the predecessor of `tool_calls`
        if isinstance(fragments, list):
            self._keep_signature(fragments, out)
            if calls := self._calls.feed(fragments):
                out["tool_calls"] = calls
        self._has_refusal = self._has_refusal or "refusal" in out
        return out

    def _keep_signature(self, fragments: list[Any], out: Json) -> None:
        """Add the signature of the first call to `out`, unless the model signs messages."""
        if not self._signed and (signature := _signature_of(fragments)):
            self._signed = "call"
            out["reasoning_opaque"] = CALL_LABEL + signature

    def _explain(self, choice: Json, data: Json, chunks: list[ChatChunk]) -> None:
        """Add the explanation of a refusal, unless the model's text already contains it."""
        if self._finish == "content_filter" and (text := explanation(choice, data)):
            self._has_refusal = True
            chunks.append(self._chunks.chunk({"refusal": text}))


def _from_anthropic(body: Message) -> ChatCompletion:
    """Convert a Messages response, which the newest Claude models sometimes send on this API."""
    message: Json = {"content": "", "reasoning_text": "", "tool_calls": []}
    content = body.get("content")
    for block in content if isinstance(content, list) else ():
        if not isinstance(block, dict):
            continue
        match block.get("type"):
            case "text":
                message["content"] += _text(block.get("text"))
            case "thinking":
                message["reasoning_text"] += _text(block.get("thinking"))
            case "tool_use":
                arguments = msgspec.json.encode(block.get("input") or {}).decode()
                function = {"name": block.get("name"), "arguments": arguments}
                message["tool_calls"].append({"id": block.get("id"), "function": function})
    usage = body.get("usage")
    counts = usage if isinstance(usage, dict) else {}
    cached = count_of(counts, "cache_read_input_tokens")
    created = count_of(counts, "cache_creation_input_tokens")
    details = counts.get("output_tokens_details")
    thinking = count_of(details, "thinking_tokens") if isinstance(details, dict) else 0
    return {
        "id": body.get("id"),
        "choices": [{"message": message, "finish_reason": body.get("stop_reason") or "stop"}],
        "stop_details": body.get("stop_details"),
        "usage": {
            "prompt_tokens": count_of(counts, "input_tokens") + cached + created,
            "completion_tokens": count_of(counts, "output_tokens"),
            "prompt_tokens_details": {
                "cached_tokens": cached,
                "cache_creation_input_tokens": created,
                **one_hour_writes(counts),
            },
            "completion_tokens_details": {"reasoning_tokens": thinking},
        },
        "copilot_usage": body.get("copilot_usage"),
    }


def _signature_of(fragments: list[Any]) -> str:
    functions = (one.get("function") for one in fragments if isinstance(one, dict))
    found = (one.get("thought_signature") for one in functions if isinstance(one, dict))
    return next((one for one in found if isinstance(one, str)), "")


def _text(value: object) -> str:
    """Return a string unchanged, the joined text of a list of parts, or "" for any other value."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        texts = (part.get("text") for part in value if isinstance(part, dict))
        return "".join(text for text in texts if isinstance(text, str))
    return ""


def _logprobs(value: object) -> Json | None:
    """Return ``{"content": [...] or None, "refusal": [...] or None}``, as OpenAI's schema requires.

    Returns None if both are empty.
    """
    if not isinstance(value, dict):
        return None
    lists = {
        name: [entry for entry in value[name] if isinstance(entry, dict)]
        for name in ("content", "refusal")
        if isinstance(value.get(name), list)
    }
    return {"content": None, "refusal": None, **lists} if any(lists.values()) else None
