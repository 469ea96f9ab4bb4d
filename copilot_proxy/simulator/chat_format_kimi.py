"""Kimi's chat completions: OpenAI's chunks, readable reasoning, call ids with the tool's name."""

from __future__ import annotations

from collections.abc import Iterator

from .chat_format import ChatFormat
from .script import pieces
from .types import ChatChunk, ChatCompletion, ChatMessage, ChatUsage


class Kimi(ChatFormat):
    """The format of Moonshot's models."""

    def usage(self) -> ChatUsage:
        reply = self.reply
        completion = reply.completion_tokens + reply.reasoning_tokens
        return {
            "completion_tokens": completion,
            "completion_tokens_details": {"reasoning_tokens": reply.reasoning_tokens},
            "prompt_tokens": reply.prompt_tokens,
            "prompt_tokens_details": {"cached_tokens": reply.cached_tokens},
            "total_tokens": reply.prompt_tokens + completion,
        }

    def chunks(self) -> Iterator[ChatChunk]:
        yield from self.extras()
        yield self.chunk({"content": "", "role": "assistant"})
        for part in pieces(self.reply.reasoning):
            yield self.chunk({"content": None, "reasoning_text": part})
        for part in self.text():
            yield self.chunk({"content": part})
        for fragment in self.fragments():
            yield self.chunk({"content": None, "tool_calls": [fragment]})
        yield self.chunk({"content": None}, finish=self.facts.finish, **self.costs())

    def whole(self) -> ChatCompletion:
        message: ChatMessage = {"content": "".join(self.text()), "role": "assistant"}
        if self.reply.calls:
            message["tool_calls"] = self.full_calls()
        if self.reply.reasoning:
            message["reasoning_text"] = self.reply.reasoning
        choice = {"finish_reason": self.facts.finish, "index": 0, "message": message}
        return {"choices": [choice], **self.facts.envelope, **self.costs()}
