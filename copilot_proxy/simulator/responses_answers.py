"""Answers in the format of the Responses API, where item ids change from event to event."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .catalogue import backend_name
from .conversation import Reply
from .pricing import copilot_usage
from .responses_items import ResponseFacts, output
from .script import pieces
from .stream import Answer, Event
from .types import Item, Json, Response, ResponsesUsage

CALLS = {
    "function_call": ("arguments", "function_call_arguments"),
    "custom_tool_call": ("input", "custom_tool_call_input"),
}
"""Kind of call -> the field with the input, and the prefix of the events that stream the input."""


def answer(facts: ResponseFacts) -> Answer:
    """Return the answer to a request."""
    return Answer(
        lambda: _Stream(facts).events(),
        lambda: whole(facts),
        lambda code: Event(
            {"type": "error", "code": code, "message": "The server had an error.", "param": None,
             "sequence_number": 3},
            "error",
        ),
        failed=lambda code: _failed(facts, code),
        filler=Event(
            {"type": "response.in_progress", "sequence_number": 1, "response": {"id": "x"}},
            "response.in_progress",
        ),
    )  # fmt: skip


def usage(reply: Reply) -> ResponsesUsage:
    """Return the token counts; the output count includes the reasoning."""
    output = reply.completion_tokens + reply.reasoning_tokens
    return {
        "input_tokens": reply.prompt_tokens,
        "input_tokens_details": {"cached_tokens": reply.cached_tokens},
        "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": reply.reasoning_tokens},
        "total_tokens": reply.prompt_tokens + output,
    }


def whole(facts: ResponseFacts) -> Response:
    """Return the answer as one object."""
    body = facts.body
    reasoning = body.get("reasoning") or {}
    text = body.get("text") or {}
    tools = [
        {
            **tool,
            "strict": True,
            "parameters": {**tool["parameters"], "additionalProperties": False},
        }
        if tool["type"] == "function"
        else tool
        for tool in body.get("tools") or []
    ]
    reason = facts.incomplete
    return {
        "id": facts.new_id(),
        "object": "response",
        "created_at": facts.created,
        "status": "incomplete" if reason else "completed",
        "output_text": None,
        "incomplete_details": {"reason": reason} if reason else None,
        "error": None,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "model": backend_name(facts.model),
        "output": output(facts),
        "parallel_tool_calls": body.get("parallel_tool_calls") is not False,
        "previous_response_id": None,
        "reasoning": {"effort": reasoning.get("effort"), "summary": reasoning.get("summary")},
        "safety_identifier": "3b1f" + "0" * 60,
        "service_tier": "default",
        "store": False,
        "temperature": 1,
        "top_p": 1,
        "text": {"format": {"type": "text"}, "verbosity": "medium", **text},
        "tool_choice": body.get("tool_choice") or "auto",
        "tools": tools,
        "truncation": body.get("truncation") or "disabled",
        "usage": usage(facts.reply),
        "copilot_usage": copilot_usage(facts.model, facts.reply),
    }


def _failed(facts: ResponseFacts, code: str) -> Event:
    error = {"code": code, "message": "The server had an error while processing your request."}
    response = {**whole(facts), "status": "failed", "error": error, "output": []}
    costs = response.pop("copilot_usage")
    return Event(
        {"type": "response.failed", "sequence_number": 4, "response": response,
         "copilot_usage": costs},
        "response.failed",
    )  # fmt: skip


class _Stream:
    """The numbered events of an answer."""

    def __init__(self, facts: ResponseFacts) -> None:
        self.facts = facts
        self.number = 0

    def event(self, kind: str, *, final: bool = False, **more: Any) -> Event:
        numbered: Json = {"type": kind}
        if "no_sequence_numbers" not in self.facts.quirks:
            numbered["sequence_number"] = self.number
        self.number += 1
        return Event({**numbered, **more}, kind, final)

    def events(self) -> Iterator[Event]:
        facts = self.facts
        full = whole(facts)
        costs = full.pop("copilot_usage")
        initial = {**full, "status": "in_progress", "output": [], "usage": None}
        initial["incomplete_details"] = None
        for kind in ("response.created", "response.in_progress"):
            yield self.event(kind, response={**initial, "id": facts.new_id()})
        for index, item in enumerate(full["output"]):
            yield from self.item(index, item)
        kind = "response.incomplete" if facts.incomplete else "response.completed"
        response = {**full, "id": facts.new_id(), "output": output(facts)}
        yield self.event(kind, final=True, response=response, copilot_usage=costs)

    def item(self, index: int, item: Item) -> Iterator[Event]:
        """Yield the events of one output item."""
        initial: Item = {**item, "id": self.facts.new_id()}
        kind = item["type"]
        if kind == "reasoning":
            initial["summary"] = []
            inner = self.reasoning(index, item)
        elif kind == "message":
            initial |= {"status": "in_progress", "content": []}
            initial.pop("phase", None)
            inner = self.message(index, item)
        elif kind in CALLS:
            initial |= {"status": "in_progress", CALLS[kind][0]: ""}
            inner = self.call(index, item)
        else:
            inner = iter(())
        yield self.event("response.output_item.added", output_index=index, item=initial)
        yield from inner
        done = {**item, "id": self.facts.new_id()}
        yield self.event("response.output_item.done", output_index=index, item=done)

    def reasoning(self, index: int, item: Item) -> Iterator[Event]:
        if "no_reasoning_deltas" in self.facts.quirks:
            return
        base = "response.reasoning_summary"
        for number, part in enumerate(item["summary"]):
            at: Json = {"output_index": index, "summary_index": number}
            text = part["text"]
            empty = {"type": "summary_text", "text": ""}
            yield self.event(f"{base}_part.added", item_id=self.facts.new_id(), **at, part=empty)
            for piece in pieces(text):
                fresh = self.facts.new_id()
                yield self.event(f"{base}_text.delta", item_id=fresh, **at, delta=piece)
            yield self.event(f"{base}_text.done", item_id=self.facts.new_id(), **at, text=text)

    def message(self, index: int, item: Item) -> Iterator[Event]:
        at: Json = {"output_index": index, "content_index": 0}
        if item["content"][0]["type"] == "refusal":
            yield from self.refusal(at, item["content"][0]["refusal"])
            return
        text = item["content"][0]["text"]
        part = {"type": "output_text", "text": "", "annotations": []}
        new_id = self.facts.new_id
        yield self.event("response.content_part.added", item_id=new_id(), **at, part=part)
        for piece in pieces(text):
            yield self.event("response.output_text.delta", item_id=new_id(), **at, delta=piece)
        yield self.event("response.output_text.done", item_id=new_id(), **at, text=text)
        full = {**part, "text": text}
        yield self.event("response.content_part.done", item_id=new_id(), **at, part=full)

    def refusal(self, at: Json, text: str) -> Iterator[Event]:
        new_id = self.facts.new_id
        part = {"type": "refusal", "refusal": ""}
        yield self.event("response.content_part.added", item_id=new_id(), **at, part=part)
        for piece in pieces(text):
            yield self.event("response.refusal.delta", item_id=new_id(), **at, delta=piece)
        yield self.event("response.refusal.done", item_id=new_id(), **at, refusal=text)
        full = {**part, "refusal": text}
        yield self.event("response.content_part.done", item_id=new_id(), **at, part=full)

    def call(self, index: int, item: Item) -> Iterator[Event]:
        name, event = CALLS[item["type"]]
        text = item[name]
        if "runaway_arguments" in self.facts.quirks:
            text = "{" + "\n\t\r" * int(self.facts.quirks["runaway_arguments"] or 200)
        at: Json = {"output_index": index}
        kind = f"response.{event}"
        for start in range(0, len(text), 9):
            part = text[start : start + 9]
            yield self.event(f"{kind}.delta", item_id=self.facts.new_id(), **at, delta=part)
        yield self.event(f"{kind}.done", item_id=self.facts.new_id(), **at, **{name: text})
