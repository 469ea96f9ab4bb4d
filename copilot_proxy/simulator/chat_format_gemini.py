"""Gemini's chat completions: usage on every chunk, complete calls, signed reasoning."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .chat_format import ChatFormat, opaque
from .types import ChatChunk, ChatCompletion, ChatDelta, ChatMessage, ChatUsage


class Gemini(ChatFormat):
    """The format of Gemini's chat completions."""

    def usage(self) -> ChatUsage:
        reply = self.reply
        return _gemini_usage(
            reply.prompt_tokens,
            reply.cached_tokens,
            reply.completion_tokens,
            reply.reasoning_tokens,
        )

    def chunk(
        self, delta: ChatDelta | None, *, finish: str | None = None, **more: Any
    ) -> ChatChunk:
        chunk = super().chunk(delta, finish=finish, **more)
        chunk.setdefault("usage", _gemini_usage(0, 0, 0, 0))
        return chunk

    def chunks(self) -> Iterator[ChatChunk]:
        yield from self.extras()
        if self.reply.reasoning:
            text = self.reply.reasoning + "\n\n\n"
            yield self.chunk({"content": None, "role": "assistant", "reasoning_text": text})
        for part in self.text():
            yield self.chunk({"content": part, "role": "assistant"})
        last: ChatDelta = {"content": None, "role": "assistant"}
        calls = self.full_calls()
        if calls:
            last["tool_calls"] = [one | self.index(number) for number, one in enumerate(calls)]
        if self.reply.reasoning:
            last["reasoning_opaque"] = opaque(self.reply.reasoning)
        yield self.chunk(last, finish=self.facts.finish, **self.costs())

    def whole(self) -> ChatCompletion:
        text = "".join(self.text())
        message: ChatMessage = {"content": text or None, "role": "assistant"}
        if self.reply.calls:
            message["tool_calls"] = self.full_calls()
        if self.reply.reasoning:
            message["reasoning_text"] = self.reply.reasoning
            message["reasoning_opaque"] = opaque(self.reply.reasoning)
        choice = {"finish_reason": self.facts.finish, "index": 0, "message": message}
        return {"choices": [choice], **self.facts.envelope, **self.costs()}


def _gemini_usage(prompt: int, cached: int, completion: int, reasoning: int) -> ChatUsage:
    return {
        "completion_tokens": completion,
        "prompt_tokens": prompt,
        "prompt_tokens_details": {"cached_tokens": cached},
        "total_tokens": prompt + completion + reasoning,
        "reasoning_tokens": reasoning,
    }
