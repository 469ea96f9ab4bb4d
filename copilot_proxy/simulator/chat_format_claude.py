"""Claude's chat completions: answers split across choices, calls that start without arguments."""

from __future__ import annotations

from collections.abc import Iterator

from .chat_format import ChatFormat, opaque
from .script import pieces
from .types import ChatCall, ChatChunk, ChatCompletion, ChatDelta, ChatUsage, Json


class Claude(ChatFormat):
    """The format of Claude's chat completions."""

    def usage(self) -> ChatUsage:
        reply = self.reply
        completion = reply.completion_tokens + reply.reasoning_tokens
        return {
            "completion_tokens": completion,
            "prompt_tokens": reply.prompt_tokens,
            "prompt_tokens_details": {
                "cached_tokens": reply.cached_tokens,
                "cache_creation_input_tokens": reply.written_tokens,
            },
            "total_tokens": reply.prompt_tokens + completion,
        }

    def reasoning(self) -> list[ChatDelta]:
        """Return the deltas that contain the reasoning and its signature."""
        if not self.reply.reasoning:
            return []
        names = ("reasoning_text", "reasoning_opaque")
        if "thinking_fields" in self.quirks:
            names = ("thinking", "signature")
        deltas: list[ChatDelta] = [{names[0]: part} for part in pieces(self.reply.reasoning)]
        return [*deltas, {names[1]: opaque(self.reply.reasoning)}]

    def first_fragment(self, name: str) -> Json:
        return {"name": name}

    def next_fragment(self, part: str) -> ChatCall:
        return {"function": {"arguments": part}, "type": "function"}

    def chunks(self) -> Iterator[ChatChunk]:
        yield from self.extras()
        for delta in self.reasoning():
            yield self.chunk({"content": None, **delta, "role": "assistant"})
        for part in self.text():
            yield self.chunk({"content": part, "role": "assistant"})
        choice_index = 1 if "calls_split_choices" in self.quirks else 0
        for fragment in self.fragments():
            yield self.chunk({"content": None, "tool_calls": [fragment]}, index=choice_index)
            if fragment.get("id") and "whole_calls" not in self.quirks:
                empty = {
                    **self.next_fragment(""),
                    **({k: v for k, v in fragment.items() if k == "index"}),
                }
                yield self.chunk({"content": None, "tool_calls": [empty]}, index=choice_index)
        yield self.chunk({"content": None}, finish=self.facts.finish, **self.costs())

    def whole(self) -> ChatCompletion:
        facts = self.facts
        text = "".join(self.text())
        first: Json = {"content": text, "role": "assistant"}
        if self.reply.reasoning:
            first["reasoning_text"] = self.reply.reasoning
            first["reasoning_opaque"] = opaque(self.reply.reasoning)
        choices: list[Json] = []
        if text or not self.reply.calls:
            choices.append({"finish_reason": facts.finish, "message": first})
        for full in self.full_calls():
            message = {"role": "assistant", "tool_calls": [full]}
            choices.append({"finish_reason": facts.finish, "message": message})
        return {"choices": choices, **facts.envelope, **self.costs()}
