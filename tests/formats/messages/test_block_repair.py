"""Streams with badly framed blocks are repaired so that Anthropic's SDK can read them."""

from typing import Any

import pytest

from copilot_proxy.formats.messages.stream_repair import MessagesRepair, repair_message
from copilot_proxy.formats.types import Json, MessagesEvent
from tests.formats.messages.samples import check_order, read_stream, text, use

HEAD: Json = {
    "type": "message",
    "role": "assistant",
    "id": "msg_1",
    "model": "claude-sonnet-4.5",
    "content": [],
    "stop_reason": None,
    "stop_sequence": None,
    "usage": {"input_tokens": 9, "output_tokens": 3},
}
PIECE: Json = {"type": "input_json_delta", "partial_json": '{"a": 1}'}


def start(index: int, block: Json) -> MessagesEvent:
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(index: int, value: Any) -> MessagesEvent:
    value = {"type": "text_delta", "text": value} if isinstance(value, str) else value
    return {"type": "content_block_delta", "index": index, "delta": value}


def stop(index: int) -> MessagesEvent:
    return {"type": "content_block_stop", "index": index}


def read(blocks: list[MessagesEvent], end: Json) -> tuple[list[MessagesEvent], Any]:
    """Return the events that a client receives for `blocks`, and the message that the SDK reads."""
    repair = MessagesRepair("r")
    sent = [{"type": "message_start", "message": HEAD}, *blocks, {"type": "message_delta", **end}]
    events = [event for data in sent for event in repair.feed(data)] + repair.close(done=True)
    check_order(events)
    return events, read_stream(events)


@pytest.mark.parametrize(
    ("blocks", "content"),
    [
        ([delta(0, "Hi"), stop(0)], [("text", "Hi")]),
        ([delta(0, {"type": "thinking_delta", "thinking": "Hm"})], [("thinking", "Hm")]),
        ([start(0, use(input={"a": 1})), stop(0)], [("tool_use", {"a": 1})]),
        ([start(0, use(input={"a": 0})), delta(0, PIECE), stop(0)], [("tool_use", {"a": 1})]),
        (
            [start(0, text("")), delta(0, "Hi"), stop(0), start(0, use()), delta(0, PIECE)],
            [("text", "Hi"), ("tool_use", {"a": 1})],
        ),
        (
            [start(0, text("")), start(0, use()), delta(0, PIECE), stop(0), stop(0)],
            [("text", ""), ("tool_use", {"a": 1})],
        ),
        ([start(1, text("")), delta(1, "Hi"), stop(1), stop(7)], [("text", "Hi")]),
    ],
    ids=[
        "a text without a start",
        "a thought without a start",
        "an input in the start of its block",
        "an input in the start and in deltas",
        "one index for two blocks",
        "a block without an end",
        "an index that is skipped",
    ],
)
def test_blocks(blocks: list[MessagesEvent], content: list[tuple[str, Any]]) -> None:
    """Each block starts and ends once, the blocks are numbered, and deltas contain the input."""
    events, message = read(blocks, {"delta": {"stop_reason": "end_turn"}, "usage": {}})

    fields = {"text": "text", "thinking": "thinking", "tool_use": "input"}
    assert content == [(b.type, getattr(b, fields[b.type])) for b in message.content]
    starts = [e["content_block"] for e in events if e["type"] == "content_block_start"]
    assert all(block.get("input", {}) == {} for block in starts)


@pytest.mark.parametrize(
    ("block", "stated", "reason"),
    [
        (use(input={"a": 1}), "end_turn", "tool_use"),
        (use(input={"a": 1}), "max_tokens", "max_tokens"),
        (text("I will look."), "tool_use", "end_turn"),
        (text("Hi"), "stop_sequence", "stop_sequence"),
    ],
)
def test_stop_reasons(block: Json, stated: str, reason: str) -> None:
    """The stop reason is `tool_use` if and only if there is a call, streamed or not."""
    end = {"delta": {"stop_reason": stated, "stop_sequence": None}, "usage": {"output_tokens": 5}}

    _, message = read([start(0, block), stop(0)], end)

    whole = repair_message({**HEAD, "content": [block], "stop_reason": stated})
    assert (reason, reason) == (message.stop_reason, whole["stop_reason"])


def test_an_end_without_usage() -> None:
    """The last event has the token counts, since SDKs read them there."""
    events, message = read([], {"delta": {"stop_reason": "end_turn"}})

    assert {"output_tokens": 3} == events[1]["usage"]
    assert 9 == message.usage.input_tokens


def test_an_end_without_a_reason() -> None:
    """A stream that ends properly after a call, but without a reason, gets `tool_use`."""
    repair = MessagesRepair("r")
    sent = [{"type": "message_start", "message": HEAD}, start(0, use()), delta(0, PIECE)]
    events = [event for data in sent for event in repair.feed(data)] + repair.close(done=True)

    assert "tool_use" == read_stream(events).stop_reason
