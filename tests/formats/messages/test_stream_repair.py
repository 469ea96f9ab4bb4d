"""Responses from models that Copilot serves on Messages are repaired and passed on."""

import json
from pathlib import Path
from typing import Any

import pytest

from copilot_proxy.errors import BrokenResponse, UpstreamRefusal
from copilot_proxy.formats.messages.stream_repair import (
    MessagesRepair,
    message_from_events,
    repair_message,
)
from copilot_proxy.formats.types import Json, MessagesEvent
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


def repaired(events: list[Any]) -> tuple[list[MessagesEvent], MessagesRepair]:
    stream = MessagesRepair("r")
    repaired = [event for data in events for event in stream.feed(data)]
    return repaired + stream.close(), stream


def test_a_correct_stream_is_not_changed() -> None:
    """Events that need no repair are passed on unchanged, and the SDK can read them."""
    events, stream = repaired(RECORDED)

    assert RECORDED == events
    assert stream.is_finished
    assert "Hello from stream." == read_stream(events).content[0].text  # type: ignore[union-attr]


@pytest.mark.parametrize("start", [RECORDED[:1], []])
def test_the_model_has_the_clients_name(start: list[Any]) -> None:
    """Every message has the client's name for the model, even if the start event is missing."""
    stream = MessagesRepair(model="opus")

    streamed = [event for data in [*start, *RECORDED[1:]] for event in stream.feed(data)]
    whole = MessagesRepair(model="opus").feed(message_from_events(RECORDED))

    assert "message_start" == streamed[0]["type"]
    assert ["opus"] * 2 == [one["message"]["model"] for one in (streamed[0], whole[0])]


def test_copilots_additions_are_removed() -> None:
    """Only the fields that Copilot adds are removed; its usage is kept and passed on."""
    copilot_usage = {"total_nano_aiu": 8100000}
    citations = {"copilot_annotations": {"IPCodeCitations": [{"id": 1}]}}
    finish = {**FINISH, "copilot_usage": copilot_usage}
    events, stream = repaired(
        [
            {**START, **citations},
            {**RECORDED[1], "content_block": {**RECORDED[1]["content_block"], **citations}},
            {**DELTA, "delta": {**DELTA["delta"], **citations}},
            {"type": "ping"},
            {"type": "brand_new", "x": 1},
            {"x": "no type"},
            RECORDED[-3],
            finish,
            {**STOP, "amazon-bedrock-invocationMetrics": {"inputTokenCount": 1}},
            {"type": "after_the_end"},
        ]
    )

    unknown = [{"type": "ping"}, {"type": "brand_new", "x": 1}]
    assert [*RECORDED[:3], *unknown, RECORDED[-3], finish, STOP] == events
    assert copilot_usage == stream.copilot_usage


def test_usage_has_the_chat_format() -> None:
    """The prompt tokens are the sum of new, cached and cache-written tokens."""
    counts = {
        "input_tokens": 12,
        "cache_creation_input_tokens": 900,
        "cache_read_input_tokens": 30,
        "output_tokens": 1,
    }
    message = {**START["message"], "usage": counts}
    usage = {
        "output_tokens": 55,
        "input_tokens": 0,
        "output_tokens_details": {"thinking_tokens": 7},
    }
    _, stream = repaired([{**START, "message": message}, {**FINISH, "usage": usage}, STOP])

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
        ([START, DELTA], "Copilot's answer was cut off before it was complete."),
        ([b"[DONE]"], "Copilot sent an event that is not a JSON object."),
    ],
)
def test_an_incomplete_stream_is_broken(events: list[Any], message: str) -> None:
    """A response that is empty or cut off never looks complete."""
    with pytest.raises(BrokenResponse) as caught:
        repaired(events)

    assert message == caught.value.message


def test_a_missing_last_event_is_added() -> None:
    """A stream that ends after the stop reason is complete."""
    events, stream = repaired([*RECORDED[:4], FINISH])

    assert [*RECORDED[:4], FINISH, STOP] == events
    assert stream.is_finished


@pytest.mark.parametrize("error", [ERROR, {"error": {"message": "No.", "code": "rate_limited"}}])
def test_an_error_at_the_start_is_raised(error: Json) -> None:
    """An error before the message is raised, so that the response can have the error's status."""
    with pytest.raises(UpstreamRefusal) as caught:
        repaired([{"type": "ping"}, error])

    assert "false" == caught.value.headers["x-should-retry"]


def test_an_error_in_the_middle_is_passed_on() -> None:
    """An error after the start goes to the client as an event, and is kept for the log."""
    events, stream = repaired([START, ERROR, DELTA])

    assert START == events[0]
    assert ["message_start", "error"] == [event["type"] for event in events]
    assert "overloaded_error" == events[1]["error"]["type"]
    assert events[1]["error"]["message"].startswith("Overloaded. The model is busy.")
    assert "req_r" == events[1]["request_id"]
    assert isinstance(stream.failure, UpstreamRefusal)


def test_a_model_that_is_stuck_is_stopped() -> None:
    """Endless blank lines in a tool's input end the stream, since the user pays for them."""
    delta = {"type": "input_json_delta", "partial_json": "{\n\n\n\n\n\n\n"}
    blank = {"type": "content_block_delta", "index": 0, "delta": delta}
    more = {**blank, "delta": {**delta, "partial_json": "\n \n \n\n\n\n\n"}}

    with pytest.raises(BrokenResponse) as caught:
        repaired([START, blank, more, {**more, "index": 1}, more])

    assert "runaway_whitespace" == caught.value.code


@pytest.mark.parametrize(
    "name", ["simple", "thinking", "tool-use", "tool-use-followup", "server-tool"]
)
def test_a_correct_message_is_not_changed(name: str) -> None:
    """A recorded message needs no repair, and is the same after conversion to events and back."""
    message = recorded(f"{name}-response")
    events, stream = repaired([message])

    assert message == repair_message(message)
    check_order(events)
    assert message == message_from_events(events)
    assert message["content"][0].get("text") == getattr(
        read_stream(events).content[0], "text", None
    )
    assert message["usage"]["output_tokens"] == (stream.usage or {})["completion_tokens"]


def test_every_type_of_block_becomes_events() -> None:
    """A message converted to events keeps its usage and all blocks, even blocks without deltas."""
    message = {
        **recorded("simple-response"),
        "content": [{"type": "thinking", "thinking": "Hm.", "signature": ""}, {"type": "odd"}],
        "copilot_usage": {"total_nano_aiu": 1},
    }
    events, stream = repaired([message])

    check_order(events)
    assert message == message_from_events(events)
    assert {"total_nano_aiu": 1} == stream.copilot_usage


def test_a_message_is_completed() -> None:
    """Missing fields of a message are added, and Copilot's additions are removed."""
    additions: Json = {"copilot_annotations": {}}
    message = repair_message(
        {"content": [use(), 3, text("a", **additions)], **additions, "id": "msg_1"}
    )

    assert {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "",
        "content": [use(), text("a")],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": {"input_tokens": 0, "output_tokens": 0},
    } == message
    assert "tool_use" == read_whole(message).stop_reason


def test_a_message_with_only_content_is_completed() -> None:
    """A response without a stop reason and an id is a complete message."""
    message = repair_message({"content": [text("a")]})

    assert ("end_turn", True) == (message["stop_reason"], message["id"].startswith("msg_"))


@pytest.mark.parametrize("body", [None, [], b"x", {}, {"content": "text"}, {"choices": []}])
def test_a_body_that_is_not_a_message_is_broken(body: Any) -> None:
    """A successful response must be a message."""
    with pytest.raises(BrokenResponse):
        repair_message(body)


def test_an_error_with_status_200_is_an_error() -> None:
    """An error that is sent in place of a message is raised."""
    with pytest.raises(UpstreamRefusal):
        repair_message(ERROR)


def test_events_make_one_message() -> None:
    """For a client that does not stream, the events of a stream are combined into one message."""
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
    } == message_from_events(events)


@pytest.mark.parametrize(
    "event",
    [
        {"type": "message_start"},
        {"type": "content_block_start", "content_block": {}},
        {"type": "content_block_delta", "index": 3, "delta": {"type": "text_delta", "text": "x"}},
        {"type": "message_delta", "delta": "x"},
    ],
)
def test_events_that_do_not_form_a_message_are_broken(event: Json) -> None:
    """Events that do not fit together are an upstream error, not an internal error."""
    with pytest.raises(BrokenResponse):
        message_from_events([START, event])


def test_empty_events_are_passed_on() -> None:
    """Events whose fields are null do not cause an error; the missing stop reason is added."""
    events, stream = repaired(
        [
            {"type": "message_start", "message": None},
            {"type": "content_block_delta", "index": 0, "delta": None},
            {"type": "message_delta", "delta": None},
            STOP,
        ]
    )

    assert (5, None) == (len(events), stream.usage)


def test_a_stream_that_failed_is_not_a_message() -> None:
    """A client that does not stream gets the error, not the part that came before it."""
    events, _ = repaired([START, DELTA, ERROR])

    with pytest.raises(UpstreamRefusal) as caught:
        message_from_events(events)

    assert "Overloaded." == caught.value.message


def test_a_message_of_events_has_all_its_fields() -> None:
    """Fields that the events do not have are added to the message."""
    message = message_from_events([{"type": "message_start", "message": {}}, STOP])

    assert ("assistant", [], {"input_tokens": 0, "output_tokens": 0}) == (
        message["role"],
        message["content"],
        message["usage"],
    )


def test_a_missing_start_and_a_missing_end_are_added() -> None:
    """The SDK fails on blocks before the message start, and agents hang without a stop reason."""
    blocks = [one for one in RECORDED if one["type"].startswith("content_block_")]

    unstarted, _ = repaired([*blocks, FINISH, STOP])
    unended, _ = repaired([START, *blocks, STOP])

    assert ["end_turn"] * 2 == [read_stream(one).stop_reason for one in (unstarted, unended)]
    assert "Hello from stream." == read_stream(unstarted).content[0].text  # type: ignore[union-attr]
    assert ["message_delta", "message_stop"] == [event["type"] for event in unended[-2:]]
