"""Builds the chunks of one stream, all with the same id, time and model.

Source: https://platform.openai.com/docs/api-reference/chat/streaming
"""

import time
import uuid
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from copilot_proxy.errors import BrokenResponse
from copilot_proxy.formats import broken_responses
from copilot_proxy.formats.chat_completions.tool_calls import ToolCalls
from copilot_proxy.formats.reasoning_cache import ReasoningRecorder
from copilot_proxy.formats.types import ChatChunk, ChatUsage, CopilotUsage, Json

SHARED_FIELDS: Final = ("system_fingerprint", "service_tier")
"""The optional fields of an answer that every chunk has."""
NOTHING_SHARED: Final[Mapping[str, str]] = MappingProxyType({})


def shared_fields(answer: Json) -> dict[str, str]:
    """Return those of `SHARED_FIELDS` that an event or answer from Copilot has."""
    fields = {name: answer.get(name) for name in SHARED_FIELDS}
    return {name: value for name, value in fields.items() if isinstance(value, str)}


class Chunks:
    """Builds the chunks of one response.

    `model` is the name that the client sent. `now` is the creation time in seconds since 1970, used
    if Copilot does not send one.
    """

    def __init__(
        self,
        model: str,
        *,
        include_usage: bool = False,
        now: int | None = None,
        recorder: ReasoningRecorder | None = None,
    ) -> None:
        self._model = model
        self._recorder = recorder
        self._include_usage = include_usage
        self._now = int(time.time()) if now is None else now
        self._head: Json = {}
        self.has_started = False
        """Whether `start` has been called."""

    def start(
        self, response_id: str = "", created: int = 0, shared: Mapping[str, str] = NOTHING_SHARED
    ) -> ChatChunk:
        """Return the first chunk, and set the fields that all chunks share.

        These are `SHARED_FIELDS`, if Copilot sends them, and those that OpenAI's schema requires.
        """
        self.has_started = True
        self._head = {
            "id": response_id or f"chatcmpl-{uuid.uuid4().hex}",
            "object": "chat.completion.chunk",
            "created": created or self._now,
            "model": self._model,
            "choices": [],
            **shared,
        }
        if self._include_usage:
            self._head["usage"] = None
        return self.chunk({"role": "assistant", "content": ""})

    def chunk(
        self, delta: Json, *, finish_reason: str | None = None, logprobs: Json | None = None
    ) -> ChatChunk:
        """Return a chunk with one choice."""
        # Most chunks contain only text, which does not need to be recorded.
        if self._recorder is not None and (
            finish_reason or len(delta) != 1 or "content" not in delta
        ):
            self._recorder.record(delta, finish_reason)
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason, "logprobs": logprobs}
        return {**self._head, "choices": [choice]}

    def end(
        self,
        reason: str | None,
        calls: ToolCalls,
        usage: ChatUsage | None,
        copilot_usage: CopilotUsage | None,
    ) -> list[ChatChunk]:
        """Return the last chunks: the end of the tool calls, the finish reason, and the usage.

        `reason` is an OpenAI finish reason, ``error`` if the model failed, or None if the stream
        ended without a reason. Raises `BrokenResponse` if it is ``error`` or None.
        """
        if reason is None and not self.has_started:
            raise broken_responses.empty_answer()
        if reason is None:
            raise broken_responses.ended_early()
        if reason == "error":
            raise BrokenResponse(
                "The model failed while it was answering.",
                hint="Try again, or try another model.",
            )
        reason = _final_reason(reason, calls)
        deltas = calls.close(cut=reason != "tool_calls")
        chunks = [self.chunk({"tool_calls": [delta]}) for delta in deltas]
        chunks.append(self.chunk({}, finish_reason=reason))
        if self._include_usage and usage is not None:
            last = {**self._head, "usage": usage}
            if copilot_usage is not None:
                last["copilot_usage"] = copilot_usage
            chunks.append(last)
        return chunks


def unstated_reason(calls: ToolCalls) -> str:
    """Return the finish reason of a response that ended properly without stating one."""
    return "stop" if calls.are_valid else "length"


def _final_reason(reason: str, calls: ToolCalls) -> str:
    if not calls:
        return "stop" if reason == "tool_calls" else reason
    # If the response was cut off in the middle of a call, keep the reason, because the call cannot
    # be executed.
    cut = reason in ("length", "content_filter") and not calls.are_complete
    return reason if cut else "tool_calls"
