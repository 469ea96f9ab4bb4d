"""One reply in the shape of Claude's own API: the whole body, and the events of its stream."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import msgspec

from .catalogue import Model, backend_name
from .pricing import copilot_usage
from .script import Reply, ToolCall, pieces
from .seals import Seals
from .stream import Answer, Event

Json = dict[str, Any]
REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}


def answer(model: Model, said: Reply, seals: Seals, quirks: Json) -> Answer:
    """The reply, streamed and whole."""
    error = {"type": "overloaded_error", "message": "Overloaded"}

    def failing(code: str) -> Event:
        kind = {**error, "type": code} if code.endswith("_error") else error
        return Event({"type": "error", "error": kind}, "error")

    return Answer(
        lambda: events(model, said, seals, quirks),
        lambda: whole(model, said, seals, quirks),
        failing,
        filler=Event({"type": "ping"}, "ping"),
    )


def stop_reason(said: Reply, quirks: Json) -> str:
    """Why the model stopped, in the words of this API."""
    if "content_filter" in quirks:
        return "refusal"
    return "stop_sequence" if said.stop_sequence else REASONS[said.finish]


def usage(said: Reply) -> Json:
    """Token counts; here the input excludes what was read from the cache."""
    return {
        "input_tokens": said.prompt_tokens - said.cached_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": said.cached_tokens,
        "output_tokens": said.completion_tokens + said.reasoning_tokens,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
    }


def whole(model: Model, said: Reply, seals: Seals, quirks: Json) -> Json:
    """The answer as one object."""
    return {
        "id": "msg_bdrk_" + secrets.token_hex(12),
        "type": "message",
        "role": "assistant",
        "model": backend_name(model),
        "content": blocks(said, seals, quirks),
        "stop_reason": stop_reason(said, quirks),
        "stop_sequence": said.stop_sequence,
        "usage": usage(said),
        "context_management": {"applied_edits": []},
        "copilot_usage": copilot_usage(model, said),
    }


def blocks(said: Reply, seals: Seals, quirks: Json) -> list[Json]:
    """The content blocks."""
    found: list[Json] = []
    if said.reasoning:
        signature = seals.make("signature", 200)
        found.append({"type": "thinking", "thinking": said.reasoning, "signature": signature})
    if said.text and "wordless" not in quirks:
        found.append({"type": "text", "text": said.text})
    for call in said.calls:
        tool_id = "toolu_bdrk_" + secrets.token_hex(12)
        found.append({"type": "tool_use", "id": tool_id, "name": call.name, "input": _input(call)})
    return found


def _input(call: ToolCall) -> Any:
    try:
        return msgspec.json.decode(call.arguments or "{}")
    except msgspec.DecodeError:
        # The limit cut the arguments; a whole answer has no way to show half an object.
        return {}


def events(model: Model, said: Reply, seals: Seals, quirks: Json) -> Iterator[Event]:
    """The answer as a stream."""
    full = whole(model, said, seals, quirks)
    counted = {**full["usage"], "output_tokens": 1}
    begun = {**full, "content": [], "stop_reason": None, "stop_sequence": None, "usage": counted}
    del begun["copilot_usage"], begun["context_management"]
    yield _event("message_start", message=begun)
    yield _event("ping")
    calls = iter(said.calls)
    for index, block in enumerate(full["content"]):
        call = next(calls) if block["type"] == "tool_use" else None
        yield _event("content_block_start", index=index, content_block=_begun(block))
        for delta in _deltas(block, call, quirks):
            yield _event("content_block_delta", index=index, delta=delta)
        yield _event("content_block_stop", index=index)
    yield Event(
        {
            "type": "message_delta",
            "delta": {"stop_reason": full["stop_reason"], "stop_sequence": full["stop_sequence"]},
            "usage": full["usage"],
            "context_management": full["context_management"],
            "copilot_usage": full["copilot_usage"],
        },
        "message_delta",
        final=True,
    )
    metrics = {"inputTokenCount": said.prompt_tokens, "outputTokenCount": said.completion_tokens}
    yield _event("message_stop", **{"amazon-bedrock-invocationMetrics": metrics})


def _event(kind: str, **more: Any) -> Event:
    return Event({"type": kind, **more}, kind)


def _begun(block: Json) -> Json:
    """A block before anything of it has been said."""
    if block["type"] == "thinking":
        return {"type": "thinking", "thinking": "", "signature": ""}
    if block["type"] == "text":
        return {"type": "text", "text": ""}
    return {**block, "input": {}}


def _deltas(block: Json, call: ToolCall | None, quirks: Json) -> Iterator[Json]:
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
