"""Azure's chat completions: filter results, padding, a first chunk without choices."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

from .chat_format import FILTERS, HIT, ChatFormat, filter_chunk
from .types import ChatChunk, ChatCompletion, ChatDelta, ChatMessage, ChatUsage, Json

NO_ERROR = {"error": {"code": "", "message": ""}}
ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"


class Azure(ChatFormat):
    """The format of GPT, and of every vendor without a format of its own."""

    def usage(self) -> ChatUsage:
        reply = self.reply
        completion = reply.completion_tokens + reply.reasoning_tokens
        details = {"accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0}
        if reply.reasoning_tokens:
            details["reasoning_tokens"] = reply.reasoning_tokens
        return {
            "completion_tokens": completion,
            "completion_tokens_details": details,
            "prompt_tokens": reply.prompt_tokens,
            "prompt_tokens_details": {"cached_tokens": reply.cached_tokens},
            "total_tokens": reply.prompt_tokens + completion,
        }

    def chunk(
        self, delta: ChatDelta | None, *, finish: str | None = None, **more: Any
    ) -> ChatChunk:
        more.setdefault("system_fingerprint", "fp_569604b1f8")
        chunk = super().chunk(delta, finish=finish, **more)
        if self.facts.include_usage:
            # OpenAI's own format: chunks have an `object`, and all but the last a null `usage`.
            chunk |= {"object": "chat.completion.chunk", "usage": None}
            chunk["choices"][0].setdefault("finish_reason", None)
        return chunk

    def chunks(self) -> Iterator[ChatChunk]:
        hit = self.facts.finish == "content_filter"
        yield filter_chunk(HIT if hit else FILTERS)
        yield from self.extras()
        for index in range(self.facts.choices):
            yield from self.choice(index)
        if "cot_id" in self.quirks:
            yield self.chunk({"cot_id": "cot_" + secrets.token_hex(8)})
        if self.facts.include_usage:
            yield {**self.chunk({}), "choices": [], **self.costs()}

    def choice(self, index: int) -> Iterator[ChatChunk]:
        """Yield all chunks for one choice."""
        offsets = {"check_offset": 2257, "start_offset": 2257, "end_offset": 2312}
        checked: Json = {
            "content_filter_offsets": offsets,
            "content_filter_results": {**NO_ERROR, **FILTERS},
        }
        text = self.text()
        if text or not self.reply.calls:
            yield self.chunk({"content": "", "role": "assistant"}, index=index, choice=checked)
        if "cot_id" in self.quirks:
            yield self.chunk({"cot_summary": "**Thinking**", "role": None}, index=index)
        for number, part in enumerate(text):
            speaker: Json = {"role": None} if number % 2 else {}
            more = checked if number % 3 == 0 else {}
            yield self.chunk({"content": part, **speaker}, index=index, choice=more)
        role: Json = {} if text else {"role": "assistant"}
        choice_index = index + ("calls_split_choices" in self.quirks)
        for fragment in self.fragments():
            delta = {"content": None, **role, "tool_calls": [fragment]}
            yield self.chunk(delta, index=choice_index)
            role = {}
        last = index == self.facts.choices - 1
        costs = self.costs() if last and not self.facts.include_usage else {}
        results = {"content_filter_results": HIT} if self.facts.finish == "content_filter" else {}
        yield self.chunk(
            {"content": None}, finish=self.facts.finish, index=index, choice=results, **costs
        )

    def whole(self) -> ChatCompletion:
        facts, reply = self.facts, self.reply
        hit = facts.finish == "content_filter"
        length = 8 + len(reply.text) % 28
        message: ChatMessage = {"padding": ALPHABET[:length], "role": "assistant"}
        if reply.calls:
            message["tool_calls"] = self.full_calls()
        else:
            message = {"content": "".join(self.text()), **message}
        results: Json = {} if reply.calls else HIT if hit else FILTERS
        choices = [
            {
                "finish_reason": facts.finish,
                "index": index,
                "content_filter_results": results,
                "message": message,
            }
            for index in range(facts.choices)
        ]
        return {
            "choices": choices,
            **facts.envelope,
            "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": FILTERS}],
            "system_fingerprint": "fp_569604b1f8",
            **self.costs(),
        }
