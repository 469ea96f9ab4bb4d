"""Translates repaired chat chunks to the lines of an Ollama stream, or to a whole answer.

Ollama sends each tool call in one piece, with its arguments as an object, so a call is held back
until it is complete. Text after the call is not held back.
"""

import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.formats import broken_responses
from copilot_proxy.formats.ollama.errors import error_body
from copilot_proxy.formats.tool_arguments import Arguments, parsed_input
from copilot_proxy.formats.types import (
    ChatChunk,
    ChatUsage,
    ClientEvent,
    ClientResponse,
    CopilotUsage,
    Json,
)

_DONE_REASONS: Final = {"length": "length", "content_filter": "content_filter"}
"""Finish reason -> Ollama's ``done_reason``; all others, such as tool calls, become ``stop``."""
_MIN_STREAM_NS: Final = 1_000_000
"""An answer was not streamed if its first and last parts are less than this many ns apart."""


class ChatToOllama:
    """Translates one response for an Ollama client; implements `ChatWriter`.

    `model` is the name that the client used. With `generates`, the answer has the form of
    ``/api/generate``. Thinking is left out if the client does not want it.
    """

    def __init__(self, model: str, *, generates: bool, shows_thinking: bool) -> None:
        self._model = model
        self._generates = generates
        self._shows_thinking = shows_thinking
        self._calls: dict[int, _Call] = {}
        self._finish: str | None = None
        self._usage: ChatUsage = {}
        self._copilot_usage: CopilotUsage | None = None
        self._started = time.perf_counter_ns()
        self._first: int | None = None

    def feed(self, chunk: ChatChunk) -> list[ClientEvent]:
        """Return the lines for one chunk."""
        events: list[ClientEvent] = []
        for choice in chunk["choices"]:
            delta = choice["delta"]
            if len(delta) == 1 and (text := delta.get("content")):  # the usual case
                events.append(self._line(text))
            else:
                self._add(delta, events)
            if (finish := choice["finish_reason"]) is not None:
                self._finish = finish
        if usage := chunk.get("usage"):
            self._usage = usage
            self._copilot_usage = chunk.get("copilot_usage")
        if self._first is None and events:
            self._first = time.perf_counter_ns()
        return events

    def close(self) -> list[ClientEvent]:
        """Return the last lines. Raises `BrokenResponse` if the answer is incomplete."""
        if self._finish is None:
            raise broken_responses.ended_early()
        events: list[ClientEvent] = []
        # The last call of an answer that was cut off must not look complete.
        if calls := [call.line() for call in self._calls.values() if call.is_whole(self._finish)]:
            events.append(self._line("", {"tool_calls": calls}))
        last = self._line("", done=True)
        last["done_reason"] = _DONE_REASONS.get(self._finish, "stop")
        last.update(self._counts())
        if self._copilot_usage is not None:
            last["copilot_usage"] = self._copilot_usage
        return [*events, last]

    def whole(self, events: list[ClientEvent]) -> ClientResponse:
        """Return the answer assembled from the lines."""
        answer = dict(events[-1])
        holders = events if self._generates else [event["message"] for event in events]
        text = "response" if self._generates else "content"
        whole: Json = {text: "".join(holder[text] for holder in holders)}
        if thinking := "".join(holder.get("thinking", "") for holder in holders):
            whole["thinking"] = thinking
        if calls := [call for holder in holders for call in holder.get("tool_calls", ())]:
            whole["tool_calls"] = calls
        if self._generates:
            return {**answer, **whole}
        return {**answer, "message": {"role": "assistant", **whole}}

    def loaded(self, *, unload: bool) -> ClientEvent:
        """Return the answer to a request without a prompt, which asks to load or unload a model."""
        return self._line("", done=True) | {"done_reason": "unload" if unload else "load"}

    def fail(self, error: CopilotProxyError, request_id: str) -> list[ClientEvent]:
        """Return the line that reports an error and ends the stream."""
        return [error_body(error, request_id)]

    def _add(self, delta: Json, events: list[ClientEvent]) -> None:
        if (text := delta.get("reasoning_content")) and self._shows_thinking:
            events.append(self._line("", {"thinking": text}))
        for name in ("content", "refusal"):
            if text := delta.get(name):
                events.append(self._line(text))
        for part in delta.get("tool_calls") or ():
            call = self._calls.get(part["index"])
            if call is None:
                name = part["function"]["name"]
                call = self._calls[part["index"]] = _Call(len(self._calls), part["id"], name)
            if text := part["function"].get("arguments"):
                call.arguments.add(text)

    def _line(self, text: str, more: Json | None = None, *, done: bool = False) -> ClientEvent:
        if self._generates:
            line = {"model": self._model, "created_at": _now(), "response": text}
            return {**line, **(more or {}), "done": done}
        message: Json = {"role": "assistant", "content": text}
        if more is not None:
            message.update(more)
        return {"model": self._model, "created_at": _now(), "message": message, "done": done}

    def _counts(self) -> Json:
        end = time.perf_counter_ns()
        first = self._first or end
        if end - first < _MIN_STREAM_NS:
            first = self._started  # it is unknown when the model started to write
        return {
            "total_duration": end - self._started,
            "load_duration": 0,
            "prompt_eval_count": self._usage.get("prompt_tokens") or 0,
            "prompt_eval_duration": first - self._started,
            "eval_count": self._usage.get("completion_tokens") or 0,
            "eval_duration": max(end - first, 1),
        }


class _Call:
    """A tool call whose arguments may still be incomplete."""

    def __init__(self, index: int, id: str, name: str) -> None:
        self._index = index
        self._id = id
        self._name = name
        self.arguments = Arguments()

    def is_whole(self, finish: str) -> bool:
        return finish not in _DONE_REASONS or self.arguments.is_json

    def line(self) -> Json:
        arguments = parsed_input(self.arguments.text)
        function = {"index": self._index, "name": self._name, "arguments": arguments}
        return {"id": self._id, "function": function}


def _now() -> str:
    """Return the current time in the format of Ollama's answers."""
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    return f"{_second(seconds)}.{nanoseconds:09}Z"


@lru_cache(maxsize=2)
def _second(seconds: int) -> str:
    """Return a Unix time as ISO 8601 in UTC, without the zone; cached, since formatting is slow."""
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat()
