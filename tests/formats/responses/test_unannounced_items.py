"""Items that upstream does not announce, and calls without arguments, are completed for clients."""

from typing import Any

import pytest

from copilot_proxy.formats.responses.stream_repair import ResponsesRepair

CALL = {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "status": "completed"}
PART = {"type": "output_text", "text": "Hello.", "annotations": []}
_ADDED = "response.output_item.added"
MESSAGE = {"type": "message", "id": "m1", "role": "assistant", "status": "completed"}


def repair(*events: Any, output: list[Any] | None = None) -> list[Any]:
    """Return what the client receives for `events` in the middle of a response."""
    response = {"id": "resp_1", "object": "response", "output": [], "status": "in_progress"}
    last = {**response, "output": output or [], "status": "completed"}
    stream = ResponsesRepair({"model": "m", "input": "x"}, now=1)
    return [
        event
        for data in (
            {"type": "response.created", "response": response},
            *events,
            {"type": "response.completed", "response": last},
        )
        for event in stream.feed(data)
    ][1:]


def kinds(events: list[Any]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events]


def text_delta(text: str) -> Any:
    position = {"output_index": 0, "content_index": 0, "item_id": "m1"}
    return {"type": "response.output_text.delta", **position, "delta": text}


@pytest.mark.parametrize("output", [[{**MESSAGE, "content": [PART]}], []])
def test_a_message_is_announced_before_its_first_piece(output: list[Any]) -> None:
    """The text is streamed, and the item is complete even if the final event omits it."""
    events = repair(text_delta("Hel"), text_delta("lo."), output=output)

    assert kinds(events) == [
        *("output_item.added", "content_part.added", "output_text.delta", "output_text.delta"),
        *("output_text.done", "content_part.done", "output_item.done", "completed"),
    ]
    assert events[-2]["item"]["content"][0]["text"] == "Hello."
    assert events[-1]["response"]["output"][0]["content"][0]["text"] == "Hello."
    assert len({e.get("item_id") or e["item"]["id"] for e in events[:-1]}) == 1


@pytest.mark.parametrize("has_pieces", [True, False])
def test_a_call_is_announced_with_its_name(has_pieces: bool) -> None:
    """Codex runs only calls that have a completed item, so each call gets one."""
    position = {"output_index": 0, "item_id": "fc_1"}
    kind = "response.function_call_arguments"
    pieces = [{"type": f"{kind}.delta", **position, "delta": '{"a":1}'}] if has_pieces else []

    events = repair(*pieces, output=[{**CALL, "arguments": '{"a":1}'}])

    assert kinds(events) == [
        *("output_item.added", "function_call_arguments.delta", "function_call_arguments.done"),
        *("output_item.done", "completed"),
    ]
    assert events[0]["item"]["name"] == "f"
    assert events[1]["delta"] == events[3]["item"]["arguments"] == '{"a":1}'


def test_a_call_without_arguments_has_an_empty_object() -> None:
    """A call without arguments gets an empty object, since clients parse the arguments as JSON."""
    item = {**CALL, "arguments": ""}
    position = {"output_index": 0, "item_id": "fc_1"}

    events = repair(
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.function_call_arguments.done", **position, "arguments": ""},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        output=[item],
    )

    assert "".join(e["delta"] for e in events if e["type"].endswith(".delta")) == "{}"
    assert events[-3]["arguments"] == events[-2]["item"]["arguments"] == "{}"
    assert events[-1]["response"]["output"][0]["arguments"] == "{}"


def test_an_item_that_upstream_does_not_end_is_ended_with_the_response() -> None:
    """An item without an end ends with the response, since Codex would ignore it otherwise."""
    announced = {**CALL, "arguments": "", "status": "in_progress"}
    call, message = {**CALL, "arguments": '{"a":1}'}, {**MESSAGE, "content": [PART]}
    added = [{**MESSAGE, "status": "in_progress", "content": []}, announced]

    events = repair(
        *({"type": _ADDED, "output_index": n, "item": item} for n, item in enumerate(added)),
        output=[message, call],
    )

    ends = events[-3:-1]
    assert kinds(events)[-3:] == ["output_item.done", "output_item.done", "completed"]
    assert [0, 1] == [event["output_index"] for event in ends]
    assert ["Hello.", '{"a":1}'] == [
        ends[0]["item"]["content"][0]["text"],
        ends[1]["item"]["arguments"],
    ]
    assert [e["item"]["id"] for e in events[:2]] == [e["item"]["id"] for e in ends]
