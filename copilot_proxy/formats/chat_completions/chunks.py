"""Makes the chunks of one stream: they have one head, one beginning and one end.

Source: https://platform.openai.com/docs/api-reference/chat/streaming
"""

import time
import uuid

from copilot_proxy.errors import BrokenResponse
from copilot_proxy.formats.chat_completions.schema import Json
from copilot_proxy.formats.chat_completions.tool_calls import ToolCalls
from copilot_proxy.formats.reasoning_cache import ReasoningRecorder


class Chunks:
    """The chunks of one answer of `model`; `now` is when it was made, if nobody says."""

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
        self.has_begun = False
        """Whether `begin` has been called."""

    def begin(self, answer_id: str = "", created: int = 0, fingerprint: str | None = None) -> Json:
        """The first chunk, with what all others say as well."""
        self.has_begun = True
        self._head = {
            "id": answer_id or f"chatcmpl-{uuid.uuid4().hex}",
            "object": "chat.completion.chunk",
            "created": created or self._now,
            "model": self._model,
            "choices": [],
        }
        if fingerprint is not None:
            self._head["system_fingerprint"] = fingerprint
        if self._include_usage:
            self._head["usage"] = None
        return self.chunk({"role": "assistant", "content": ""})

    def chunk(
        self, delta: Json, *, finish_reason: str | None = None, logprobs: Json | None = None
    ) -> Json:
        """A chunk with one choice."""
        # Most chunks are text alone, which is nothing to record.
        if self._recorder is not None and (
            finish_reason or len(delta) != 1 or "content" not in delta
        ):
            self._recorder.record(delta, finish_reason)
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason, "logprobs": logprobs}
        return {**self._head, "choices": [choice]}

    def end(
        self, reason: str | None, calls: ToolCalls, usage: Json | None, copilot_usage: Json | None
    ) -> list[Json]:
        """The last chunks: what is left of the calls, the finish, and the usage if it is wanted.

        `reason` is why the model stopped, in OpenAI's words or ``error``. Raises `BrokenResponse`
        if it did not say, or failed.
        """
        if reason is None and not self.has_begun:
            raise BrokenResponse(
                "Copilot sent an empty answer.", hint="Try again, or try another model."
            )
        if reason is None:
            raise BrokenResponse(
                "Copilot's answer broke off before it was complete.",
                hint="What came so far may be incomplete. Try again.",
            )
        if reason == "error":
            raise BrokenResponse(
                "Copilot's model failed while it was answering.",
                hint="Try again, or try another model.",
            )
        reason = _final_reason(reason, calls)
        rest = calls.close(cut=reason != "tool_calls")
        chunks = [self.chunk({"tool_calls": [delta]}) for delta in rest]
        chunks.append(self.chunk({}, finish_reason=reason))
        if self._include_usage and usage is not None:
            last = {**self._head, "usage": usage}
            if copilot_usage is not None:
                last["copilot_usage"] = copilot_usage
            chunks.append(last)
        return chunks


def _final_reason(reason: str, calls: ToolCalls) -> str:
    if not calls:
        return "stop" if reason == "tool_calls" else reason
    # An answer that was cut in the middle of a call says so: the call cannot be carried out.
    cut = reason in ("length", "content_filter") and not calls.are_complete
    return reason if cut else "tool_calls"
