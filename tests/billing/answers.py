"""The fake Copilot's answers in the formats of its APIs, whole and streamed.

A stream has three parts: its beginning with some text, the rest with the cost, and its end.
``copilot_usage`` is placed as in Copilot's own answers.
"""

import json
from typing import Any, NamedTuple

from tests.billing.bills import Bill

Json = dict[str, Any]
_CREATED = 1_795_330_002
_BROKE = {"message": "It broke.", "type": "server_error", "code": "broke"}
_LIMIT = {"message": "Too fast.", "type": "rate_limit_error", "code": "rate_limited"}


class Stream(NamedTuple):
    """The parts of a stream."""

    begin: bytes
    cost: bytes
    """The rest of the answer, with the cost and the finish reason."""
    end: bytes
    failure: bytes
    """An error that replaces the end, where a Responses stream reports its cost."""
    early: bytes
    """An error that replaces the cost and names a limit, as if the request had been refused."""
    billed: bytes
    """An error that replaces the cost but contains it."""


def usage_of(bill: Bill, *, total: bool, parts: bool) -> Json:
    """Return a dict with ``copilot_usage``; it is empty if neither field is asked for."""
    if not total and not parts:
        return {}
    return {
        "copilot_usage": {
            **({"total_nano_aiu": bill.nano} if total else {}),
            "token_details": bill.details if parts else [],
        }
    }


def whole(path: str, bill: Bill, charged: Json) -> Json:
    """Return a whole answer."""
    return {"/chat/completions": _chat, "/responses": _response, "/v1/messages": _message}[path](
        bill, charged
    )


def stream(path: str, bill: Bill, charged: Json) -> Stream:
    """Return a stream."""
    return {
        "/chat/completions": _chat_stream,
        "/responses": _response_stream,
        "/v1/messages": _message_stream,
    }[path](bill, charged)


def _data(*events: Json, named: bool = False) -> bytes:
    lines = (
        (f"event: {event['type']}\n" if named else "") + f"data: {json.dumps(event)}\n\n"
        for event in events
    )
    return "".join(lines).encode()


def _chat_usage(bill: Bill) -> Json:
    prompt = bill.fresh + bill.cached
    return {
        "prompt_tokens": prompt,
        "prompt_tokens_details": {"cached_tokens": bill.cached},
        "completion_tokens": bill.output,
        "total_tokens": prompt + bill.output,
    }


def _chat(bill: Bill, charged: Json) -> Json:
    message = {"role": "assistant", "content": "Done."}
    return {
        "id": "chatcmpl-1",
        "created": _CREATED,
        "model": "gpt-4o-2024-11-20",
        "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
        "usage": _chat_usage(bill),
        **charged,
    }


def _chat_stream(bill: Bill, charged: Json) -> Stream:
    ids = {"id": "chatcmpl-1", "created": _CREATED, "model": "gpt-4o-2024-11-20"}

    def chunk(delta: Json, **more: Any) -> Json:
        return {"choices": [{"index": 0, "delta": delta, **more}], **ids}

    last = chunk({"content": None}, finish_reason="stop")
    return Stream(
        _data(chunk({"role": "assistant", "content": "Do"}), chunk({"content": "ne."})),
        _data({**last, "usage": _chat_usage(bill), **charged}),
        b"data: [DONE]\n\n",
        _data({"error": _BROKE}),
        _data({"error": _LIMIT}),
        _data({"error": _BROKE, **charged}),
    )


def _response(bill: Bill, charged: Json, status: str = "completed") -> Json:
    text = {"type": "output_text", "text": "Done.", "annotations": []}
    item = {"id": "i", "type": "message", "role": "assistant", "status": "completed"}
    return {
        "id": "r",
        "object": "response",
        "created_at": _CREATED,
        "status": status,
        "model": "gpt-5.4-2026-03-05",
        "output": [{**item, "content": [text]}],
        "usage": {
            "input_tokens": bill.fresh + bill.cached,
            "input_tokens_details": {"cached_tokens": bill.cached},
            "output_tokens": bill.output,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": bill.fresh + bill.cached + bill.output,
        },
        **charged,
    }


def _response_stream(bill: Bill, charged: Json) -> Stream:
    done = _response(bill, {})
    begun = {**done, "status": "in_progress", "output": [], "usage": None}
    item = {**done["output"][0], "status": "in_progress", "content": []}
    at = {"output_index": 0, "content_index": 0, "item_id": "i"}
    part = {"type": "output_text", "text": "", "annotations": []}
    failed = {**done, "status": "failed", "error": {"code": "server_error", "message": "It broke."}}
    begin = (
        {"type": "response.created", "response": begun},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.content_part.added", **at, "part": part},
        {"type": "response.output_text.delta", **at, "delta": "Done."},
    )
    end = (
        {"type": "response.output_text.done", **at, "text": "Done."},
        {"type": "response.output_item.done", "output_index": 0, "item": done["output"][0]},
        {"type": "response.completed", "response": done, **charged},
    )
    return Stream(
        _data(*begin, named=True),
        b"",
        _data(*end, named=True),
        _data({"type": "response.failed", "response": failed, **charged}, named=True),
        _data({**_LIMIT, "type": "error"}, named=True),
        _data({**_BROKE, "type": "error", **charged}, named=True),
    )


def _message(bill: Bill, charged: Json) -> Json:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-opus-4-7",
        "content": [{"type": "text", "text": "Done."}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": bill.fresh,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": bill.cached,
            "output_tokens": bill.output,
        },
        **charged,
    }


def _message_stream(bill: Bill, charged: Json) -> Stream:
    done = _message(bill, {})
    begun = {**done, "content": [], "stop_reason": None}
    text = {"type": "text_delta", "text": "Done."}
    empty = {"type": "text", "text": ""}
    block = {"type": "content_block_start", "index": 0, "content_block": empty}
    stop = {"stop_reason": "end_turn", "stop_sequence": None}
    error = {"type": "overloaded_error", "message": "It broke."}
    return Stream(
        _data(
            {"type": "message_start", "message": begun},
            block,
            {"type": "content_block_delta", "index": 0, "delta": text},
            named=True,
        ),
        _data(
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": stop, "usage": done["usage"], **charged},
            named=True,
        ),
        _data({"type": "message_stop"}, named=True),
        _data({"type": "error", "error": error}, named=True),
        _data({"type": "error", "error": _LIMIT}, named=True),
        _data({"type": "error", "error": error, **charged}, named=True),
    )
