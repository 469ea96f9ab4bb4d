"""The prepared answers of the fake upstream, in the formats of Copilot's three chat APIs.

They have the quirks of Copilot's recorded answers that must be repaired: chat events without
`object` and with `role: null`, a first event without choices, usage in the last event, and
Responses events whose ids never match. The text consists of marks; see `marks`.
"""

import base64
import hashlib
import json
from dataclasses import dataclass
from itertools import cycle
from typing import Any, Final

from benchmarks.marks import mark

Model = dict[str, Any]
"""A model of the catalogue."""
Event = dict[str, Any]
"""An event of a stream, or the delta in it."""
Item = dict[str, Any]
"""An output item, or a part of one."""
Answer = dict[str, Any]
"""A whole answer."""

CHAT_MODEL: Final = "gpt-4o"
RESPONSES_MODEL: Final = "gpt-5.4"
MESSAGES_MODEL: Final = "claude-opus-4.7"
EMBEDDING_MODEL: Final = "text-embedding-3-small"

_CREATED: Final = 1795330002
_TEXT: Final = "@@TEXT@@"
"""The placeholder for the text of an answer in a template."""
_CHARGED: Final = {
    "copilot_usage": {
        "token_details": [
            {"batch_size": 1000000, "cost_per_batch": 250000000000, "token_count": 24,
             "token_type": "input"},
            {"batch_size": 1000000, "cost_per_batch": 1000000000000, "token_count": 200,
             "token_type": "output"},
        ],
        "total_nano_aiu": 206000000,
    }
}  # fmt: skip
"""The charge that Copilot reports."""
_FILLER: Final = "Nine words follow the mark to make a full kilobyte. " * 11


def _model(name: str, vendor: str, endpoints: list[str] | None, **more: Any) -> Model:
    capabilities = {
        "object": "model_capabilities",
        "type": "chat",
        "family": name,
        "tokenizer": "o200k_base",
        "limits": {
            "max_context_window_tokens": 264000,
            "max_prompt_tokens": 200000,
            "max_output_tokens": 64000,
        },
        "supports": {"streaming": True, "tool_calls": True, "parallel_tool_calls": True},
    }
    listed = {
        "id": name,
        "object": "model",
        "name": name,
        "vendor": vendor,
        "version": name,
        "preview": False,
        "model_picker_enabled": True,
        "is_chat_default": name == CHAT_MODEL,
        "is_chat_fallback": False,
        "billing": {"is_premium": False, "multiplier": 0},
        "capabilities": {**capabilities, **more},
    }
    return listed if endpoints is None else {**listed, "supported_endpoints": endpoints}


MODELS: Final = json.dumps(
    {
        "object": "list",
        "data": [
            _model(CHAT_MODEL, "Azure OpenAI", None),
            _model(RESPONSES_MODEL, "OpenAI", ["/responses"]),
            _model(MESSAGES_MODEL, "Anthropic", ["/v1/messages"]),
            _model(EMBEDDING_MODEL, "Azure OpenAI", None, type="embeddings"),
        ],
    }
).encode()


@dataclass(frozen=True)
class Shape:
    """The templates of one API.

    A stream starts with `head` and ends with `tail`. `befores` and `after` surround each mark.
    `answer` is a whole answer of about 1.5 KB.
    """

    head: bytes
    befores: tuple[bytes, ...]
    """Used in rotation, since ids may differ between events."""
    after: bytes
    tail: bytes
    answer: bytes

    def event(self, index: int, text: bytes) -> bytes:
        """Return the event with `text` at position `index` of its stream."""
        return self.befores[index % len(self.befores)] + text + self.after

    def end(self, text: bytes) -> bytes:
        """Return the events after the last mark of a stream whose text is `text`."""
        return self.tail.replace(_TEXT.encode(), text)

    def whole(self, number: int) -> bytes:
        """Return a whole answer with the mark of request `number`."""
        return self.answer.replace(_TEXT.encode(), mark(number))


def _data(event: Event) -> str:
    return f"data: {json.dumps(event, separators=(',', ':'))}\n\n"


def _named(event: Event) -> str:
    return f"event: {event['type']}\n{_data(event)}"


def _shape(head: str, events: list[str], tail: str, answer: Answer) -> Shape:
    cut = [event.encode().split(_TEXT.encode()) for event in events]
    return Shape(
        head=head.encode(),
        befores=tuple(before for before, _ in cut),
        after=cut[0][1],
        tail=tail.encode(),
        answer=json.dumps(answer, separators=(",", ":")).encode(),
    )


def _chat() -> Shape:
    safe = {"filtered": False, "severity": "safe"}
    filters = dict.fromkeys(("hate", "self_harm", "sexual", "violence"), safe)
    usage = {
        "completion_tokens": 200,
        "completion_tokens_details": {
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
        "prompt_tokens": 24,
        "prompt_tokens_details": {"cached_tokens": 0},
        "total_tokens": 224,
    }
    ids = {
        "created": _CREATED,
        "id": "chatcmpl-CxTNuRVy7pKFgXL5VsZKe5wfpiWQU",
        "model": "gpt-4o-2024-11-20",
        "system_fingerprint": "fp_04751d0b65",
    }
    prompt = [{"prompt_index": 0, "content_filter_results": filters}]
    leading = {
        "choices": [],
        "created": 0,
        "id": "",
        "model": "",
        "object": "",
        "prompt_filter_results": prompt,
    }

    def event(delta: Event, **more: Any) -> str:
        return _data({"choices": [{"index": 0, "delta": delta, **more}], **ids})

    last = {"choices": [{"finish_reason": "stop", "index": 0, "delta": {"content": None}}]}
    message = {"content": _TEXT + _FILLER, "padding": "abcdefghijkl", "role": "assistant"}
    choice = {
        "finish_reason": "stop",
        "index": 0,
        "content_filter_results": filters,
        "message": message,
    }
    return _shape(
        _data(leading) + event({"content": "", "role": "assistant"}, content_filter_results={}),
        [event({"content": _TEXT, "role": None})],
        _data({**last, **ids, "usage": usage, **_CHARGED}) + "data: [DONE]\n\n",
        {"choices": [choice], **ids, "usage": usage, **_CHARGED},
    )


def _responses() -> Shape:
    seeds = cycle(range(61))

    def fresh() -> str:
        """Return an id as long and opaque as Copilot's."""
        return base64.b64encode(hashlib.shake_256(b"%d" % next(seeds)).digest(180)).decode()

    at = {"output_index": 0, "content_index": 0}
    empty: Item = {"type": "output_text", "text": "", "annotations": []}
    said: Item = {**empty, "text": _TEXT}
    usage = {
        "input_tokens": 24,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 200,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 224,
    }

    def item(status: str, content: list[Item]) -> Item:
        of = {"id": fresh(), "type": "message", "role": "assistant"}
        return {**of, "status": status, "content": content}

    def response(status: str, output: list[Item], used: dict[str, Any] | None = None) -> Answer:
        return {
            "id": fresh(),
            "object": "response",
            "created_at": _CREATED,
            "status": status,
            "model": "gpt-5.4-2026-03-05",
            "output": output,
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "usage": used,
        }

    def delta() -> str:
        kind = "response.output_text.delta"
        return _named(
            {"type": kind, "sequence_number": 9, "item_id": fresh(), **at, "delta": _TEXT}
        )

    def event(kind: str, **more: Any) -> str:
        return _named({"type": kind, "sequence_number": 9, **more})

    filled = {**said, "text": _TEXT + _FILLER}
    return _shape(
        event("response.created", response=response("in_progress", []))
        + event("response.in_progress", response=response("in_progress", []))
        + event("response.output_item.added", output_index=0, item=item("in_progress", []))
        + event("response.content_part.added", item_id=fresh(), **at, part=empty),
        [delta() for _ in range(61)],
        event("response.output_text.done", item_id=fresh(), **at, text=_TEXT)
        + event("response.content_part.done", item_id=fresh(), **at, part=said)
        + event("response.output_item.done", output_index=0, item=item("completed", [said]))
        + event(
            "response.completed",
            response=response("completed", [item("completed", [said])], usage),
            **_CHARGED,
        ),
        {**response("completed", [item("completed", [filled])], usage), **_CHARGED},
    )


def _messages() -> Shape:
    usage = {
        "input_tokens": 24,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": 200,
    }
    message: Answer = {
        "id": "msg_bdrk_01XyNuRVy7pKFgXL5VsZKe5w",
        "type": "message",
        "role": "assistant",
        "model": "claude-opus-4-7-20260301",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {**usage, "output_tokens": 1},
    }
    said = {"type": "text", "text": _TEXT + _FILLER}
    stop = {"stop_reason": "end_turn", "stop_sequence": None}
    delta = {"type": "text_delta", "text": _TEXT}
    block = {"type": "content_block_start", "index": 0, "content_block": {**said, "text": ""}}
    return _shape(
        _named({"type": "message_start", "message": message})
        + _named({"type": "ping"})
        + _named(block),
        [_named({"type": "content_block_delta", "index": 0, "delta": delta})],
        _named({"type": "content_block_stop", "index": 0})
        + _named({"type": "message_delta", "delta": stop, "usage": usage, **_CHARGED})
        + _named({"type": "message_stop"}),
        {**message, "content": [said], **stop, "usage": usage, **_CHARGED},
    )


SHAPES: Final = {
    "/chat/completions": _chat(),
    "/responses": _responses(),
    "/v1/messages": _messages(),
}
"""Copilot's path -> templates of its answers."""
