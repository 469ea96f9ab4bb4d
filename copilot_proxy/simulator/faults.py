"""The catalogue of faults that can be turned on, and the faults that are on."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from .exchange_answers import EXCHANGE_ANSWERS
from .fault_answers import ANSWERS
from .refusal import Refusal
from .types import Json, Quirks

EXCHANGE = "/copilot_internal/v2/token"
MODEL_PATHS = ("/chat/completions", "/responses", "/v1/messages", "/embeddings")

BREAKS = {
    "cut_before_headers": "the connection is reset (TCP RST) before any answer",
    "stall_before_headers": "no response for VALUE seconds, or until the client disconnects",
}
STREAMS = {
    "cut_after_headers": "the connection is closed right after the headers",
    "cut_mid_event": "the connection is closed within an event, halfway through the answer",
    "cut_mid_stream": "the connection is closed between two events, halfway through the answer",
    "cut_after_finish": "the stream ends normally after the finish, without its last event",
    "end_early": "the stream ends normally halfway through, without a finish",
    "stall_mid_stream": "a pause halfway through: VALUE seconds, or until the client disconnects",
    "stall_after_finish": "the same pause after the finish, before the stream's last event",
    "empty_stream": "status 200 without any event",
    "filter_chunk_only": "only the leading chunk without choices, then the end",
    "json_instead_of_sse": "a complete JSON answer although a stream was requested",
    "json_error_instead_of_sse": "an error object as JSON, with status 200",
    "html_instead": "an HTML page with status 200",
    "error_first_chunk": "only an error event; the value is its code",
    "error_chunk": "an error event halfway through; the value is its code",
    "failed": "a Responses stream that ends with response.failed; the value is its code",
    "invalid_json_event": "halfway through, an event whose data is not JSON",
    "invalid_utf8": "halfway through, an event that is not UTF-8",
    "huge_event": "one event of at least VALUE bytes (default 1 MiB) halfway through",
    "comments": "a comment line before every event",
    "one_byte_writes": "every byte is sent separately",
    "split_writes": "events, and even characters, are split across writes",
    "crlf": "lines end with CR LF",
    "gzip": "the stream is compressed",
    "no_done": "the final [DONE] is missing",
    "extra_done": "a [DONE] in an API that has none",
}
QUIRKS = {
    "finish_error": "finish_reason error",
    "content_filter": "finish_reason content_filter, with filter results that say why",
    "refusal": "the model refuses, with an explanation",
    "no_finish": "a chat stream with [DONE] but without any finish_reason",
    "finish_length": "finish_reason length although no limit was reached",
    "stop_despite_calls": "finish_reason stop although tools were called",
    "calls_all_zero": "parallel tool calls that all have index 0, with different ids",
    "calls_from_one": "tool calls numbered from 1",
    "calls_without_index": "tool calls without an index",
    "repeated_ids": "Kimi numbers the tool calls of every answer from 0",
    "calls_split_choices": "text and tool calls of one stream in separate choices",
    "whole_calls": "every tool call complete in one delta",
    "runaway_arguments": "tool arguments that are only whitespace; the value is how much",
    "broken_arguments": "tool arguments that are not JSON",
    "native_claude_body": "Claude answers chat completions with a body in its own API's format",
    "cot_id": "Azure's reasoning summary, whose cot_id comes after the finish",
    "thinking_fields": "Claude's reasoning under the names thinking and signature",
    "annotations": "copilot_annotations in the deltas",
    "references": "chunks with null choices, with data that only GitHub's agents use",
    "changing_ids": "every chunk has a different id",
    "usage_nowhere": "no token counts at all",
    "ignored_tool_choice": "a forced tool is not called",
    "fenced_json": "requested JSON arrives in a Markdown code fence",
    "wordless": "an answer without any text",
    "other_model_name": "the answer names the model by its display name",
    "no_reasoning_deltas": "reasoning summaries appear only in the finished item",
    "compaction": "a Responses answer with a compaction item",
    "no_sequence_numbers": "Responses events without sequence_number",
    "empty_input_delta": "a Messages tool call without arguments has one empty delta",
    "unordered": "embeddings arrive out of order",
}
OTHERS = {
    "github_down": "connections to github.com and api.github.com are closed without a response",
    "models_500": "the list of models returns 500, or the status given as the value",
    "models_429": "the list of models returns 429",
    "models_html": "the list of models is an HTML page",
    "models_garbage": "the list of models returns 200 with unusable entries",
    "no_websocket": "the upgrade to a WebSocket is refused with 404, or the status given as the "
    "value",
    "auto_404": "automatic model selection is not available to the account (404)",
    "auto_503": "automatic model selection fails temporarily (503)",
    "user_404": "the account endpoint returns 404",
    "user_500": "the account endpoint returns 500",
    "count_tokens_missing": "token counting is not available (404)",
}

CATALOGUE: dict[str, str] = {
    **{name: answer.description for name, answer in ANSWERS.items()},
    **{name: answer.description for name, answer in EXCHANGE_ANSWERS.items()},
    **BREAKS,
    **STREAMS,
    **QUIRKS,
    **OTHERS,
}
"""Name of every fault -> its description."""


@dataclass
class Fault:
    """A fault that is turned on."""

    name: str
    value: Any = None
    path: str | None = None
    """The only path that the fault applies to; None means every path where it makes sense."""
    times: int | None = None
    """How many more requests the fault applies to; None means all until it is turned off."""


class Faults:
    """The faults that are on; all methods are thread-safe."""

    def __init__(self) -> None:
        self._on: dict[str, Fault] = {}
        self._lock = threading.Lock()

    def on(
        self, name: str, *, times: int | None = None, path: str | None = None, value: Any = None
    ) -> None:
        """Turn on a fault; see `Fault` for the parameters."""
        if name not in CATALOGUE:
            raise ValueError(f"Unknown fault {name!r}. Faults: {', '.join(CATALOGUE)}")
        with self._lock:
            self._on[name] = Fault(name, value, path, times)

    def off(self, name: str) -> bool:
        """Turn a fault off; return whether it was on."""
        with self._lock:
            return self._on.pop(name, None) is not None

    def clear(self) -> None:
        """Turn all faults off."""
        with self._lock:
            self._on.clear()

    def listed(self) -> Json:
        """Return the active faults and the entire catalogue.

        ``{"on": {name: {"value", "path", "times"}}, "catalogue": {name: description}}``
        """
        with self._lock:
            on = {
                fault.name: {"value": fault.value, "path": fault.path, "times": fault.times}
                for fault in self._on.values()
            }
        return {"on": on, "catalogue": CATALOGUE}

    def take(self, name: str, path: str) -> Fault | None:
        """Return the named fault if it is on and applies to `path`, and count one use of it."""
        with self._lock:
            fault = self._on.get(name)
            if fault is None or (fault.path is not None and fault.path != path):
                return None
            if fault.times is not None:
                fault.times -= 1
                if fault.times <= 0:
                    del self._on[name]
            return fault

    def take_all(self, names: dict[str, str], path: str) -> Quirks:
        """Return the faults in `names` that apply to a request to `path`, with their values."""
        taken = {}
        for name in list(self._on):
            if name in names and (fault := self.take(name, path)):
                taken[name] = fault.value
        return taken

    def answer(self, path: str) -> Refusal | None:
        """Return the error response for a Copilot API request to `path`, if a fault demands one."""
        for name in list(self._on):
            if name not in ANSWERS:
                continue
            fault = self._on.get(name)
            if fault and (path in MODEL_PATHS or fault.path == path):
                taken = self.take(name, path)
                if taken:
                    return ANSWERS[name].make(taken.value)
        return None

    def exchange_answer(self) -> Refusal | None:
        """Return the error response for the token exchange, if a fault demands one."""
        for name in list(self._on):
            if name in EXCHANGE_ANSWERS and (fault := self.take(name, EXCHANGE)):
                return EXCHANGE_ANSWERS[name].make(fault.value)
        return None
