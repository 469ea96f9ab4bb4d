"""The common part of the vendors' chat completion formats."""

from __future__ import annotations

import base64
import secrets
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .catalogue import backend_name, vendor
from .conversation import Reply, ToolCall
from .pricing import copilot_usage
from .script import REFUSAL, pieces
from .stream import DONE, Event
from .types import ChatCall, ChatChunk, ChatCompletion, ChatDelta, ChatUsage, Json, Model, Quirks

SAFE = {"filtered": False, "severity": "safe"}
FILTERS = dict.fromkeys(("hate", "self_harm", "sexual", "violence"), SAFE)
HIT = {**FILTERS, "violence": {"filtered": True, "severity": "high"}}


@dataclass
class ChatFacts:
    """The data for creating an answer."""

    model: Model
    reply: Reply
    include_usage: bool = False
    choices: int = 1
    quirks: Quirks = field(default_factory=dict)
    created: int = field(default_factory=lambda: int(time.time()))
    id: str = ""
    call_ids: list[str] = field(default_factory=list)
    calls_before: int = 0
    """The number of tool calls in the conversation so far."""

    def __post_init__(self) -> None:
        kind = vendor(self.model)
        self.id = {
            "claude": str(uuid.uuid4()),
            "gemini": secrets.token_urlsafe(8) + "-" + secrets.token_urlsafe(3),
        }.get(kind, "chatcmpl-" + secrets.token_hex(14))
        prefix = "tooluse_" if kind == "claude" else "call_"
        self.call_ids = [prefix + secrets.token_hex(10) for _ in self.reply.calls]
        if kind == "kimi":
            first = 0 if "repeated_ids" in self.quirks else self.calls_before
            numbered = enumerate(self.reply.calls, first)
            self.call_ids = [f"{call.name}:{number}" for number, call in numbered]

    @property
    def finish(self) -> str:
        """The finish reason to send."""
        for quirk, reason in FINISHES.items():
            if quirk in self.quirks:
                return reason
        if self.reply.calls and "stop_despite_calls" in self.quirks:
            return "stop"
        return self.reply.finish

    @property
    def name(self) -> str:
        """The model name in the answer."""
        if "other_model_name" in self.quirks:
            return str(self.model.get("name", "?"))
        if vendor(self.model) == "azure":
            return backend_name(self.model)
        return str(self.model["id"])

    @property
    def envelope(self) -> Json:
        """The fields of every chunk besides its choices."""
        same = "changing_ids" not in self.quirks
        return {
            "created": self.created,
            "id": self.id if same else secrets.token_hex(12),
            "model": self.name,
        }

    def arguments(self, call: ToolCall) -> str:
        """Return a call's arguments, damaged if a quirk demands it."""
        if "runaway_arguments" in self.quirks:
            return '{"a":"' + "\n\t\r" * int(self.quirks["runaway_arguments"] or 200)
        if "broken_arguments" in self.quirks:
            return '{"location": "Par'
        return call.arguments


FINISHES = {"finish_error": "error", "content_filter": "content_filter", "finish_length": "length"}


class ChatFormat:
    """The format of a vendor's answers."""

    def __init__(self, facts: ChatFacts) -> None:
        self.facts = facts
        self.reply = facts.reply
        self.quirks = facts.quirks

    def chunk(
        self, delta: ChatDelta | None, *, finish: str | None = None, **more: Any
    ) -> ChatChunk:
        """Return a chunk with one choice."""
        choice: Json = {"finish_reason": finish} if finish else {}
        if finish == "refusal":
            delta = {**(delta or {}), "refusal": REFUSAL}
        choice |= {"index": more.pop("index", 0), **more.pop("choice", {}), "delta": delta}
        return {"choices": [choice], **self.facts.envelope, **more}

    def events(self) -> Iterator[Event]:
        for chunk in self.chunks():
            choices = chunk.get("choices") or []
            final = any("finish_reason" in one and one["finish_reason"] for one in choices)
            if "no_finish" in self.quirks:
                for choice in choices:
                    choice.pop("finish_reason", None)
            yield Event(chunk, final=final)
        yield DONE

    def chunks(self) -> Iterator[ChatChunk]:
        raise NotImplementedError

    def usage(self) -> ChatUsage:
        """Return the token counts in the vendor's format."""
        raise NotImplementedError

    def whole(self) -> ChatCompletion:
        """Return the answer as one object."""
        raise NotImplementedError

    def costs(self) -> Json:
        """Return the fields with the usage and the price."""
        if "usage_nowhere" in self.quirks:
            return {}
        return {"usage": self.usage(), "copilot_usage": copilot_usage(self.facts.model, self.reply)}

    def text(self) -> list[str]:
        return [] if "wordless" in self.quirks else pieces(self.reply.text)

    def index(self, number: int) -> Json:
        """Return the ``index`` field of a tool call, which quirks may change or remove."""
        if "calls_without_index" in self.quirks:
            return {}
        if "calls_all_zero" in self.quirks:
            return {"index": 0}
        return {"index": number + ("calls_from_one" in self.quirks)}

    def extras(self) -> Iterator[ChatChunk]:
        """Yield the chunks that quirks add, which contain no part of the answer."""
        if "references" in self.quirks:
            for name in ("copilot_references", "copilot_confirmation", "copilot_errors"):
                yield {"choices": None, name: [], **self.facts.envelope}
        if "annotations" in self.quirks:
            found = [{"id": 1, "start_offset": 0, "end_offset": 5, "details": {"type": "code"}}]
            yield self.chunk({"content": "", "copilot_annotations": {"IPCodeCitations": found}})

    def full_calls(self) -> list[ChatCall]:
        """Return the complete tool calls."""
        return [
            {
                "function": {"arguments": self.facts.arguments(call), "name": call.name},
                "id": call_id,
                "type": "function",
            }
            for call, call_id in zip(self.reply.calls, self.facts.call_ids, strict=True)
        ]

    def fragments(self) -> Iterator[ChatCall]:
        """Yield the fragments in which the tool calls are streamed."""
        for number, full in enumerate(self.full_calls()):
            index = self.index(number)
            arguments = full["function"]["arguments"]
            if "whole_calls" in self.quirks:
                yield {**full, **index}
                continue
            yield {**full, "function": self.first_fragment(full["function"]["name"]), **index}
            for start in range(0, len(arguments), 9):
                yield self.next_fragment(arguments[start : start + 9]) | index

    def first_fragment(self, name: str) -> Json:
        return {"arguments": "", "name": name}

    def next_fragment(self, part: str) -> ChatCall:
        return {"function": {"arguments": part}}


def filter_chunk(results: Json) -> ChatChunk:
    """Return the chunk in which Azure reports the prompt's filter results; it has no choices."""
    return {
        "choices": [],
        "created": 0,
        "id": "",
        "model": "",
        "object": "",
        "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": results}],
    }


def opaque(reasoning: str) -> str:
    """Return a signature for `reasoning` that looks encrypted."""
    return base64.b64encode(b"simulated:" + reasoning.encode() + b"\x00\xff" * 16).decode()
