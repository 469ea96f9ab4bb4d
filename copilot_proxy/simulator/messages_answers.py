"""Answers in the format of Claude's own API, as a single body or a stream of events."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from . import messages_binding
from .catalogue import backend_name
from .conversation import Reply, ToolCall
from .opaque_strings import OpaqueStrings
from .pricing import copilot_usage
from .script import REFUSAL, pieces
from .stream import Answer, Event
from .types import Block, Json, MessagesAnswer, MessagesUsage, Model, Quirks


@dataclass(frozen=True)
class Thoughts:
    """How to send the thinking blocks of an answer."""

    hidden: bool = False
    """Whether the text of thinking blocks is empty."""
    mark: bytes | None = None
    """The mark of the conversation that the blocks are bound to, or None if they are not bound."""
    transformations: list[Json] | None = None
    """The blocks dropped from the conversation; None if the client did not ask for the list."""

    def block(self, text: str, opaque_strings: OpaqueStrings) -> Block:
        """Return a signed thinking block."""
        signature = messages_binding.sign(opaque_strings, self.mark)
        shown = "" if self.hidden else text
        return {"type": "thinking", "thinking": shown, "signature": signature}


SHOWN = Thoughts()
REASONS = {
    "stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "refusal": "refusal",
}  # fmt: skip


def answer(
    model: Model,
    reply: Reply,
    opaque_strings: OpaqueStrings,
    quirks: Quirks,
    thoughts: Thoughts = SHOWN,
) -> Answer:
    """Return the answer to a request."""
    error = {"type": "overloaded_error", "message": "Overloaded"}

    def failing(code: str) -> Event:
        kind = {**error, "type": code} if code.endswith("_error") else error
        return Event({"type": "error", "error": kind}, "error")

    return Answer(
        lambda: events(model, reply, opaque_strings, quirks, thoughts),
        lambda: whole(model, reply, opaque_strings, quirks, thoughts),
        failing,
        filler=Event({"type": "ping"}, "ping"),
    )


def stop_reason(reply: Reply, quirks: Quirks) -> str:
    """Return the ``stop_reason`` of the reply."""
    if "content_filter" in quirks:
        return "refusal"
    return "stop_sequence" if reply.stop_sequence else REASONS[reply.finish]


def usage(reply: Reply) -> MessagesUsage:
    """Return the token counts; in this API, the input count excludes cached tokens."""
    return {
        "input_tokens": reply.prompt_tokens - reply.cached_tokens - reply.written_tokens,
        "cache_creation_input_tokens": reply.written_tokens,
        "cache_read_input_tokens": reply.cached_tokens,
        "output_tokens": reply.completion_tokens + reply.reasoning_tokens,
        "cache_creation": {
            "ephemeral_5m_input_tokens": reply.written_tokens,
            "ephemeral_1h_input_tokens": 0,
        },
    }


def whole(
    model: Model,
    reply: Reply,
    opaque_strings: OpaqueStrings,
    quirks: Quirks,
    thoughts: Thoughts = SHOWN,
) -> MessagesAnswer:
    """Return the answer as one object."""
    dropped = thoughts.transformations
    more: Json = {} if dropped is None else {"input_transformations": dropped}
    if reply.finish == "refusal":
        more["stop_details"] = {"type": "refusal", "category": "cyber", "explanation": REFUSAL}
    return {
        "id": "msg_bdrk_" + secrets.token_hex(12),
        "type": "message",
        "role": "assistant",
        "model": backend_name(model),
        "content": blocks(reply, opaque_strings, quirks, thoughts),
        "stop_reason": stop_reason(reply, quirks),
        "stop_sequence": reply.stop_sequence,
        "usage": usage(reply),
        "context_management": {"applied_edits": []},
        "copilot_usage": copilot_usage(model, reply),
        **more,
    }


def blocks(
    reply: Reply, opaque_strings: OpaqueStrings, quirks: Quirks, thoughts: Thoughts
) -> list[Block]:
    """Return the content blocks."""
    found: list[Block] = []
    if reply.reasoning:
        found.append(thoughts.block(reply.reasoning, opaque_strings))
    if reply.text and reply.calls and thoughts.mark is not None:
        # Models that bind their blocks also return the text before tool calls as thinking.
        found.append(thoughts.block(reply.text, opaque_strings))
    elif reply.text and "wordless" not in quirks:
        found.append({"type": "text", "text": reply.text})
    for call in reply.calls:
        tool_id = "toolu_bdrk_" + secrets.token_hex(12)
        found.append({"type": "tool_use", "id": tool_id, "name": call.name, "input": _input(call)})
    return found


def _input(call: ToolCall) -> Any:
    try:
        return msgspec.json.decode(call.arguments or "{}")
    except msgspec.DecodeError:
        # The token limit cut off the arguments, and a non-streamed answer cannot contain an
        # incomplete object.
        return {}


def events(
    model: Model, reply: Reply, opaque_strings: OpaqueStrings, quirks: Quirks, thoughts: Thoughts
) -> Iterator[Event]:
    """Yield the events of the answer."""
    full = whole(model, reply, opaque_strings, quirks, thoughts)
    counted = {**full["usage"], "output_tokens": 1}
    initial = {**full, "content": [], "stop_reason": None, "stop_sequence": None, "usage": counted}
    del initial["copilot_usage"], initial["context_management"]
    initial.pop("stop_details", None)
    yield _event("message_start", message=initial)
    yield _event("ping")
    calls = iter(reply.calls)
    for index, block in enumerate(full["content"]):
        call = next(calls) if block["type"] == "tool_use" else None
        yield _event("content_block_start", index=index, content_block=_initial(block))
        for delta in _deltas(block, call, quirks):
            yield _event("content_block_delta", index=index, delta=delta)
        yield _event("content_block_stop", index=index)
    ending = ("stop_reason", "stop_sequence", "stop_details")
    yield Event(
        {
            "type": "message_delta",
            "delta": {name: full[name] for name in ending if name in full},
            "usage": full["usage"],
            "context_management": full["context_management"],
            "copilot_usage": full["copilot_usage"],
        },
        "message_delta",
        final=True,
    )
    metrics = {"inputTokenCount": reply.prompt_tokens, "outputTokenCount": reply.completion_tokens}
    yield _event("message_stop", **{"amazon-bedrock-invocationMetrics": metrics})


def _event(kind: str, **more: Any) -> Event:
    return Event({"type": kind, **more}, kind)


def _initial(block: Block) -> Block:
    """Return the block in the form that content_block_start sends: without its content."""
    if block["type"] == "thinking":
        return {"type": "thinking", "thinking": "", "signature": ""}
    if block["type"] == "text":
        return {"type": "text", "text": ""}
    return {**block, "input": {}}


def _deltas(block: Block, call: ToolCall | None, quirks: Quirks) -> Iterator[Json]:
    if block["type"] == "thinking":
        for part in pieces(block["thinking"]):
            yield {"type": "thinking_delta", "thinking": part}
        yield {"type": "signature_delta", "signature": block["signature"]}
    elif block["type"] == "text":
        for number, part in enumerate(pieces(block["text"])):
            delta: Json = {"type": "text_delta", "text": part}
            if number == 0 and "annotations" in quirks:
                delta["copilot_annotations"] = {"IPCodeCitations": [{"id": 1}]}
            yield delta
    elif call is not None:
        text = call.arguments
        if "runaway_arguments" in quirks:
            text = "{" + "\n\t\r" * int(quirks["runaway_arguments"] or 200)
        if not text and "empty_input_delta" in quirks:
            yield {"type": "input_json_delta", "partial_json": ""}
        for start in range(0, len(text), 9):
            yield {"type": "input_json_delta", "partial_json": text[start : start + 9]}
