"""The answer of a model that speaks Messages: passed on, cleaned, counted, and never half."""

import json
from pathlib import Path
from typing import Any

import pytest

from copilot_proxy.errors import BrokenResponse, UpstreamRefusal
from copilot_proxy.formats.messages.schema import Json
from copilot_proxy.formats.messages.stream_repair import MessagesRepair, fold, repair_whole
from tests.formats.messages.samples import (
    SIGNATURE,
    THOUGHT,
    check_order,
    read_stream,
    read_whole,
    recorded,
    text,
    use,
)

RECORDED = [
    json.loads(line)
    for line in (Path(__file__).parent / "recordings" / "streaming-events.jsonl")
    .read_text()
    .splitlines()
]
START: Json = RECORDED[0]
DELTA: Json = RECORDED[2]
FINISH: Json = {
    "type": "message_delta",
    "delta": {"stop_reason": "end_turn", "stop_sequence": None},
    "usage": {"output_tokens": 5},
}
STOP: Json = {"type": "message_stop"}
ERROR: Json = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}


def passed(events: list[Any]) -> tuple[list[Json], MessagesRepair]:
    stream = MessagesRepair("r")
    made = [event for data in events for event in stream.feed(data)]
    return made + stream.close(), stream


def test_a_stream_passes_as_it_came() -> None:
    """Events that need no repair are the very same, and the SDK reads them."""
    made, stream = passed(RECORDED)

    assert RECORDED == made
    assert stream.is_finished
    assert "Hello from stream." == read_stream(made).content[0].text  # type: ignore[union-attr]


def test_copilots_additions_are_taken_out() -> None:
    """What Copilot adds to events is gone, and nothing else; its bill is kept and passed on."""
    bill = {"total_nano_aiu": 8100000}
    citations = {"copilot_annotations": {"IPCodeCitations": [{"id": 1}]}}
    finish = {**FINISH, "copilot_usage": bill}
    made, stream = passed(
        [
            {**START, **citations},
            {**RECORDED[1], "content_block": {**RECORDED[1]["content_block"], **citations}},
            {**DELTA, "delta": {**DELTA["delta"], **citations}},
            {"type": "ping"},
            {"type": "brand_new", "x": 1},
            {"x": "no type"},
            finish,
            {**STOP, "amazon-bedrock-invocationMetrics": {"inputTokenCount": 1}},
            {"type": "after_the_end"},
        ]
    )

    added = [{"type": "ping"}, {"type": "brand_new", "x": 1}]
    assert [*RECORDED[:3], *added, finish, STOP] == made
    assert bill == stream.copilot_usage


def test_usage_is_counted_as_openai_does() -> None:
    """Read from the cache, written to it and new tokens make the prompt's tokens together."""
    counts = {
        "input_tokens": 12,
        "cache_creation_input_tokens": 900,
        "cache_read_input_tokens": 30,
        "output_tokens": 1,
    }
    message = {**START["message"], "usage": counts}
    thought = {
        "output_tokens": 55,
        "input_tokens": 0,
        "output_tokens_details": {"thinking_tokens": 7},
    }
    _, stream = passed([{**START, "message": message}, {**FINISH, "usage": thought}, STOP])

    assert {
        "prompt_tokens": 942,
        "completion_tokens": 55,
        "total_tokens": 997,
        "prompt_tokens_details": {
            "cached_tokens": 30,
            "audio_tokens": 0,
            "cache_creation_input_tokens": 900,
        },
        "completion_tokens_details": {
            "reasoning_tokens": 7,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    } == stream.usage


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ([], "Copilot sent an empty answer."),
        ([{"type": "ping"}], "Copilot sent an empty answer."),
        ([START, DELTA], "Copilot's answer broke off before it was complete."),
        ([b"[DONE]"], "Copilot sent an event that is not a JSON object."),
    ],
)
def test_a_stream_that_is_no_answer_is_broken(events: list[Any], message: str) -> None:
    """An answer that is empty or cut never looks like one that is complete."""
    with pytest.raises(BrokenResponse) as caught:
        passed(events)

    assert message == caught.value.message


def test_a_missing_last_event_is_supplied() -> None:
    """Nothing is lost when the stream ends after the model has said that it is done."""
    made, stream = passed([*RECORDED[:4], FINISH])

    assert [*RECORDED[:4], FINISH, STOP] == made
    assert stream.is_finished


@pytest.mark.parametrize("error", [ERROR, {"error": {"message": "No.", "code": "rate_limited"}}])
def test_an_error_before_anything_is_raised(error: Json) -> None:
    """An error at the very beginning can still be answered with a status of its own."""
    with pytest.raises(UpstreamRefusal) as caught:
        passed([{"type": "ping"}, error])

    assert "false" == caught.value.headers["x-should-retry"]


def test_an_error_in_the_middle_is_passed_on() -> None:
    """An error after the first part goes to the client as an event, and is known to the log."""
    made, stream = passed([START, ERROR, DELTA])

    assert START == made[0]
    assert ["message_start", "error"] == [event["type"] for event in made]
    assert ("overloaded_error", "Overloaded") == (
        made[1]["error"]["type"],
        made[1]["error"]["message"],
    )
    assert "req_r" == made[1]["request_id"]
    assert isinstance(stream.failure, UpstreamRefusal)


def test_a_model_that_is_stuck_is_stopped() -> None:
    """Endless blank lines in a tool's input end the stream: the person pays for each."""
    delta = {"type": "input_json_delta", "partial_json": "{\n\n\n\n\n\n\n"}
    blank = {"type": "content_block_delta", "index": 0, "delta": delta}
    more = {**blank, "delta": {**delta, "partial_json": "\n \n \n\n\n\n\n"}}

    with pytest.raises(BrokenResponse) as caught:
        passed([START, blank, more, {**more, "index": 1}, more])

    assert "runaway_whitespace" == caught.value.code


@pytest.mark.parametrize(
    "name", ["simple", "thinking", "tool-use", "tool-use-followup", "server-tool"]
)
def test_a_whole_answer_passes_as_it_came(name: str) -> None:
    """A recorded message needs no repair, and is the same after a way through a stream."""
    answer = recorded(f"{name}-response")
    made, stream = passed([answer])

    assert answer == repair_whole(answer)
    check_order(made)
    assert answer == fold(made)
    assert answer["content"][0].get("text") == getattr(read_stream(made).content[0], "text", None)
    assert answer["usage"]["output_tokens"] == (stream.usage or {})["completion_tokens"]


def test_every_kind_of_block_streams() -> None:
    """A whole message as a stream keeps its blocks, also those without parts, and its bill."""
    answer = {
        **recorded("simple-response"),
        "content": [{"type": "thinking", "thinking": "Hm.", "signature": ""}, {"type": "odd"}],
        "copilot_usage": {"total_nano_aiu": 1},
    }
    made, stream = passed([answer])

    check_order(made)
    assert answer == fold(made)
    assert {"total_nano_aiu": 1} == stream.copilot_usage


def test_a_whole_answer_is_completed() -> None:
    """A message that lacks fields gets them, and what Copilot added is gone."""
    added = {"copilot_annotations": {}}
    made = repair_whole({"content": [use(), 3, text("a", **added)], **added, "id": "msg_1"})

    assert {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "",
        "content": [use(), text("a")],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": {"input_tokens": 0, "output_tokens": 0},
    } == made
    assert "tool_use" == read_whole(made).stop_reason


def test_a_bare_answer_is_one_too() -> None:
    """An answer without a reason or an id still is a message that ended."""
    made = repair_whole({"content": [text("a")]})

    assert ("end_turn", True) == (made["stop_reason"], made["id"].startswith("msg_"))


@pytest.mark.parametrize("body", [None, [], b"x", {}, {"content": "text"}, {"choices": []}])
def test_what_is_no_message_is_broken(body: Any) -> None:
    """An accepted call must be answered with a message."""
    with pytest.raises(BrokenResponse):
        repair_whole(body)


def test_an_error_with_status_200_is_an_error() -> None:
    """An error in place of a message is refused as one."""
    with pytest.raises(UpstreamRefusal):
        repair_whole(ERROR)


def test_events_add_up_to_the_message_they_came_from() -> None:
    """A stream that only upstream wanted is one message for the client."""
    citation = {"type": "citations_delta", "citation": {"cited_text": "x"}}
    events = [
        START,
        {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking"}},
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "thinking_delta", "thinking": "Hm."},
        },
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "signature_delta", "signature": SIGNATURE},
        },
        {"type": "content_block_start", "index": 1, "content_block": text("Hel")},
        {
            "type": "content_block_delta",
            "index": 1,
            "delta": {"type": "text_delta", "text": "lo"},
        },
        {"type": "content_block_delta", "index": 1, "delta": citation},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "brand_new"}},
        {"type": "ping"},
        {**FINISH, "copilot_usage": {"total_nano_aiu": 1}, "context_management": {}},
        STOP,
    ]

    assert {
        **START["message"],
        "content": [THOUGHT, text("Hello", citations=[{"cited_text": "x"}])],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 14, "output_tokens": 5},
        "copilot_usage": {"total_nano_aiu": 1},
        "context_management": {},
    } == fold(events)


@pytest.mark.parametrize(
    "event",
    [
        {"type": "message_start"},
        {"type": "content_block_start", "content_block": {}},
        {"type": "content_block_delta", "index": 3, "delta": {"type": "text_delta", "text": "x"}},
        {"type": "message_delta", "delta": "x"},
    ],
)
def test_events_that_make_no_message_are_broken(event: Json) -> None:
    """Events that do not fit together are upstream's failure, not ours."""
    with pytest.raises(BrokenResponse):
        fold([START, event])


def test_a_message_without_a_head_or_usage_streams_too() -> None:
    """Events with nothing in the places where something is expected do no harm."""
    made, stream = passed(
        [
            {"type": "message_start", "message": None},
            {"type": "content_block_delta", "index": 0, "delta": None},
            {"type": "message_delta", "delta": None},
            STOP,
        ]
    )

    assert (4, None) == (len(made), stream.usage)


def test_a_stream_that_failed_half_way_is_no_message() -> None:
    """A client that wants the whole gets the failure, not the half that came before it."""
    made, _ = passed([START, DELTA, ERROR])

    with pytest.raises(UpstreamRefusal) as caught:
        fold(made)

    assert "Overloaded" == caught.value.message


def test_a_message_of_events_has_all_its_fields() -> None:
    """Fields that the events left out are there in the message that they make."""
    made = fold([{"type": "message_start", "message": {}}, STOP])

    assert ("assistant", [], {"input_tokens": 0, "output_tokens": 0}) == (
        made["role"],
        made["content"],
        made["usage"],
    )
