"""One reply in the three dialects of chat completions: Azure's GPT, Claude and Gemini."""

from __future__ import annotations

import base64
import secrets
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .catalogue import Model, backend_name, vendor
from .pricing import copilot_usage
from .script import Reply, ToolCall, pieces
from .stream import DONE, Answer, Event

SAFE = {"filtered": False, "severity": "safe"}
FILTERS = {kind: SAFE for kind in ("hate", "self_harm", "sexual", "violence")}
HIT = {**FILTERS, "violence": {"filtered": True, "severity": "high"}}
NO_ERROR = {"error": {"code": "", "message": ""}}
ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"

Json = dict[str, Any]


@dataclass
class Facts:
    """What the dialects need to know of one answer."""

    model: Model
    said: Reply
    include_usage: bool = False
    choices: int = 1
    quirks: dict[str, Any] = field(default_factory=dict)
    created: int = field(default_factory=lambda: int(time.time()))
    id: str = ""
    call_ids: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        kind = vendor(self.model)
        self.id = {
            "claude": str(uuid.uuid4()),
            "gemini": secrets.token_urlsafe(8) + "-" + secrets.token_urlsafe(3),
        }.get(kind, "chatcmpl-" + secrets.token_hex(14))
        prefix = "tooluse_" if kind == "claude" else "call_"
        self.call_ids = [prefix + secrets.token_hex(10) for _ in self.said.calls]

    @property
    def finish(self) -> str:
        """The finish reason as it goes out."""
        for quirk, reason in FINISHES.items():
            if quirk in self.quirks:
                return reason
        if self.said.calls and "stop_despite_calls" in self.quirks:
            return "stop"
        return self.said.finish

    @property
    def name(self) -> str:
        """What the answer says its model is."""
        if "other_model_name" in self.quirks:
            return str(self.model.get("name", "?"))
        if vendor(self.model) == "azure":
            return backend_name(self.model)
        return str(self.model["id"])

    @property
    def envelope(self) -> Json:
        """What every chunk carries beside its choices."""
        same = "changing_ids" not in self.quirks
        return {
            "created": self.created,
            "id": self.id if same else secrets.token_hex(12),
            "model": self.name,
        }

    def arguments(self, call: ToolCall) -> str:
        """A call's arguments, spoiled where a quirk says so."""
        if "runaway_arguments" in self.quirks:
            return '{"a":"' + "\n\t\r" * int(self.quirks["runaway_arguments"] or 200)
        if "broken_arguments" in self.quirks:
            return '{"location": "Par'
        return call.arguments


FINISHES = {"finish_error": "error", "content_filter": "content_filter", "finish_length": "length"}


def answer(facts: Facts) -> Answer:
    """The reply as the model's vendor gives it, streamed and whole."""
    dialect = {"claude": _Claude, "gemini": _Gemini}.get(vendor(facts.model), _Azure)(facts)
    return Answer(
        dialect.events,
        dialect.whole,
        lambda code: Event(
            {"error": {"message": "the stream was ended by the server", "code": code}}
        ),
        leading=Event(_filter_chunk(HIT if facts.finish == "content_filter" else FILTERS)),
        filler=Event({"choices": [{"index": 0, "delta": {"content": ""}}], **facts.envelope}),
    )


def _filter_chunk(results: Json) -> Json:
    return {
        "choices": [],
        "created": 0,
        "id": "",
        "model": "",
        "object": "",
        "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": results}],
    }


class _Dialect:
    """What the dialects have in common; Azure's is the plain case."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.said = facts.said
        self.quirks = facts.quirks

    def chunk(self, delta: Json | None, *, finish: str | None = None, **more: Any) -> Json:
        """One chunk with one choice."""
        choice: Json = {"finish_reason": finish} if finish else {}
        choice |= {"index": more.pop("index", 0), **more.pop("choice", {}), "delta": delta}
        return {"choices": [choice], **self.facts.envelope, **more}

    def events(self) -> Iterator[Event]:
        for chunk in self.chunks():
            choices = chunk.get("choices") or []
            final = any("finish_reason" in one and one["finish_reason"] for one in choices)
            yield Event(chunk, final=final)
        yield DONE

    def chunks(self) -> Iterator[Json]:
        raise NotImplementedError

    def usage(self) -> Json:
        """The token counts in this vendor's own way."""
        raise NotImplementedError

    def whole(self) -> Json:
        """The answer as one object."""
        raise NotImplementedError

    def costs(self) -> Json:
        """Usage and price, as they stand beside the choices."""
        if "usage_nowhere" in self.quirks:
            return {}
        return {"usage": self.usage(), "copilot_usage": copilot_usage(self.facts.model, self.said)}

    def text(self) -> list[str]:
        return [] if "wordless" in self.quirks else pieces(self.said.text)

    def index(self, number: int) -> Json:
        """The ``index`` of a tool call, as right or wrong as the quirks want it."""
        if "calls_without_index" in self.quirks:
            return {}
        if "calls_all_zero" in self.quirks:
            return {"index": 0}
        return {"index": number + ("calls_from_one" in self.quirks)}

    def extras(self) -> Iterator[Json]:
        """Chunks that say nothing about the answer."""
        if "references" in self.quirks:
            yield {"choices": None, "copilot_references": [], **self.facts.envelope}
        if "annotations" in self.quirks:
            found = [{"id": 1, "start_offset": 0, "end_offset": 5, "details": {"type": "code"}}]
            yield self.chunk({"content": "", "copilot_annotations": {"IPCodeCitations": found}})

    def full_calls(self) -> list[Json]:
        """Every tool call in one piece."""
        return [
            {
                "function": {"arguments": self.facts.arguments(call), "name": call.name},
                "id": call_id,
                "type": "function",
            }
            for call, call_id in zip(self.said.calls, self.facts.call_ids, strict=True)
        ]

    def fragments(self) -> Iterator[Json]:
        """The tool calls in the fragments in which they are streamed."""
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

    def next_fragment(self, part: str) -> Json:
        return {"function": {"arguments": part}}


class _Azure(_Dialect):
    """GPT as Azure serves it: filter results everywhere, padding, a leading chunk without choices."""

    def usage(self) -> Json:
        said = self.said
        completion = said.completion_tokens + said.reasoning_tokens
        details = {"accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0}
        if said.reasoning_tokens:
            details["reasoning_tokens"] = said.reasoning_tokens
        return {
            "completion_tokens": completion,
            "completion_tokens_details": details,
            "prompt_tokens": said.prompt_tokens,
            "prompt_tokens_details": {"cached_tokens": said.cached_tokens},
            "total_tokens": said.prompt_tokens + completion,
        }

    def chunk(self, delta: Json | None, *, finish: str | None = None, **more: Any) -> Json:
        more.setdefault("system_fingerprint", "fp_569604b1f8")
        chunk = super().chunk(delta, finish=finish, **more)
        if self.facts.include_usage:
            # OpenAI's own form: typed chunks, and a null usage until the last one.
            chunk |= {"object": "chat.completion.chunk", "usage": None}
            chunk["choices"][0].setdefault("finish_reason", None)
        return chunk

    def chunks(self) -> Iterator[Json]:
        hit = self.facts.finish == "content_filter"
        yield _filter_chunk(HIT if hit else FILTERS)
        yield from self.extras()
        for index in range(self.facts.choices):
            yield from self.choice(index)
        if "cot_id" in self.quirks:
            yield self.chunk({"cot_id": "cot_" + secrets.token_hex(8)})
        if self.facts.include_usage:
            yield {**self.chunk({}), "choices": [], **self.costs()}

    def choice(self, index: int) -> Iterator[Json]:
        """All chunks of one choice."""
        offsets = {"check_offset": 2257, "start_offset": 2257, "end_offset": 2312}
        checked: Json = {
            "content_filter_offsets": offsets,
            "content_filter_results": {**NO_ERROR, **FILTERS},
        }
        text = self.text()
        if text or not self.said.calls:
            yield self.chunk({"content": "", "role": "assistant"}, index=index, choice=checked)
        if "cot_id" in self.quirks:
            yield self.chunk({"cot_summary": "**Thinking**", "role": None}, index=index)
        for number, part in enumerate(text):
            role = {"role": None} if number % 2 else {}
            more = checked if number % 3 == 0 else {}
            yield self.chunk({"content": part, **role}, index=index, choice=more)
        role = {} if text else {"role": "assistant"}
        place = index + ("calls_split_choices" in self.quirks)
        for fragment in self.fragments():
            delta = {"content": None, **role, "tool_calls": [fragment]}
            yield self.chunk(delta, index=place)
            role = {}
        last = index == self.facts.choices - 1
        costs = self.costs() if last and not self.facts.include_usage else {}
        results = {"content_filter_results": HIT} if self.facts.finish == "content_filter" else {}
        yield self.chunk(
            {"content": None}, finish=self.facts.finish, index=index, choice=results, **costs
        )

    def whole(self) -> Json:
        facts, said = self.facts, self.said
        hit = facts.finish == "content_filter"
        length = 8 + len(said.text) % 28
        message: Json = {"padding": ALPHABET[:length], "role": "assistant"}
        if said.calls:
            message["tool_calls"] = self.full_calls()
        else:
            message = {"content": "".join(self.text()), **message}
        results: Json = {} if said.calls else HIT if hit else FILTERS
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


class _Claude(_Dialect):
    """Claude: parts of one answer in choices of their own, tool calls that begin without arguments."""

    def usage(self) -> Json:
        said = self.said
        completion = said.completion_tokens + said.reasoning_tokens
        return {
            "completion_tokens": completion,
            "prompt_tokens": said.prompt_tokens,
            "prompt_tokens_details": {
                "cached_tokens": said.cached_tokens,
                "cache_creation_input_tokens": 0,
            },
            "total_tokens": said.prompt_tokens + completion,
        }

    def reasoning(self) -> list[Json]:
        """The deltas that carry the reasoning and its signature."""
        if not self.said.reasoning:
            return []
        names = ("reasoning_text", "reasoning_opaque")
        if "thinking_fields" in self.quirks:
            names = ("thinking", "signature")
        deltas: list[Json] = [{names[0]: part} for part in pieces(self.said.reasoning)]
        return [*deltas, {names[1]: opaque(self.said.reasoning)}]

    def first_fragment(self, name: str) -> Json:
        return {"name": name}

    def next_fragment(self, part: str) -> Json:
        return {"function": {"arguments": part}, "type": "function"}

    def chunks(self) -> Iterator[Json]:
        yield from self.extras()
        for delta in self.reasoning():
            yield self.chunk({"content": None, **delta, "role": "assistant"})
        for part in self.text():
            yield self.chunk({"content": part, "role": "assistant"})
        place = 1 if "calls_split_choices" in self.quirks else 0
        for fragment in self.fragments():
            yield self.chunk({"content": None, "tool_calls": [fragment]}, index=place)
            if fragment.get("id") and "whole_calls" not in self.quirks:
                empty = {
                    **self.next_fragment(""),
                    **({k: v for k, v in fragment.items() if k == "index"}),
                }
                yield self.chunk({"content": None, "tool_calls": [empty]}, index=place)
        yield self.chunk({"content": None}, finish=self.facts.finish, **self.costs())

    def whole(self) -> Json:
        facts = self.facts
        text = "".join(self.text())
        first: Json = {"content": text, "role": "assistant"}
        if self.said.reasoning:
            first["reasoning_text"] = self.said.reasoning
            first["reasoning_opaque"] = opaque(self.said.reasoning)
        choices: list[Json] = []
        if text or not self.said.calls:
            choices.append({"finish_reason": facts.finish, "message": first})
        for full in self.full_calls():
            message = {"role": "assistant", "tool_calls": [full]}
            choices.append({"finish_reason": facts.finish, "message": message})
        return {"choices": choices, **facts.envelope, **self.costs()}


class _Gemini(_Dialect):
    """Gemini: a usage object on every chunk, every tool call in one delta together with the end."""

    def usage(self) -> Json:
        said = self.said
        return _gemini_usage(
            said.prompt_tokens, said.cached_tokens, said.completion_tokens, said.reasoning_tokens
        )

    def chunk(self, delta: Json | None, *, finish: str | None = None, **more: Any) -> Json:
        chunk = super().chunk(delta, finish=finish, **more)
        chunk.setdefault("usage", _gemini_usage(0, 0, 0, 0))
        return chunk

    def chunks(self) -> Iterator[Json]:
        yield from self.extras()
        if self.said.reasoning:
            text = self.said.reasoning + "\n\n\n"
            yield self.chunk({"content": None, "role": "assistant", "reasoning_text": text})
        for part in self.text():
            yield self.chunk({"content": part, "role": "assistant"})
        last: Json = {"content": None, "role": "assistant"}
        calls = self.full_calls()
        if calls:
            last["tool_calls"] = [one | self.index(number) for number, one in enumerate(calls)]
        if self.said.reasoning:
            last["reasoning_opaque"] = opaque(self.said.reasoning)
        yield self.chunk(last, finish=self.facts.finish, **self.costs())

    def whole(self) -> Json:
        text = "".join(self.text())
        message: Json = {"content": text or None, "role": "assistant"}
        if self.said.calls:
            message["tool_calls"] = self.full_calls()
        if self.said.reasoning:
            message["reasoning_text"] = self.said.reasoning
            message["reasoning_opaque"] = opaque(self.said.reasoning)
        choice = {"finish_reason": self.facts.finish, "index": 0, "message": message}
        return {"choices": [choice], **self.facts.envelope, **self.costs()}


def _gemini_usage(prompt: int, cached: int, completion: int, reasoning: int) -> Json:
    return {
        "completion_tokens": completion,
        "prompt_tokens": prompt,
        "prompt_tokens_details": {"cached_tokens": cached},
        "total_tokens": prompt + completion + reasoning,
        "reasoning_tokens": reasoning,
    }


def opaque(reasoning: str) -> str:
    """An encrypted-looking signature that belongs to this reasoning."""
    return base64.b64encode(b"simulated:" + reasoning.encode() + b"\x00\xff" * 16).decode()
