"""One pair of events and answer for each oddity of the models behind Copilot."""

from typing import Any

import pytest

from copilot_proxy.errors import BrokenResponse, UpstreamRefusal
from copilot_proxy.formats.chat_completions.stream_repair import ChatRepair
from tests.formats.answers import (
    MODEL,
    NOW,
    call,
    calling,
    complete,
    deltas_of,
    event,
    finish_of,
    message_of,
    repair,
)

FILTER = {"choices": [], "created": 0, "id": "", "model": "", "object": "",
          "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {}}]}  # fmt: skip
COUNTS = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}
ZEROS = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0, "reasoning_tokens": 0}
LOGPROB = {"token": "Hi", "logprob": -0.1, "bytes": [72, 105], "top_logprobs": []}


def test_a_plain_stream() -> None:
    """Role first, then the texts, then a finish by itself: the order that clients expect."""
    assert [
        {"role": "assistant", "content": ""},
        {"content": "Hel"},
        {"content": "lo"},
        {},
    ] == deltas_of(repair([event(content="Hel", role="assistant"), event("stop", content="lo")]))


def test_the_leading_filter_event_makes_no_chunk() -> None:
    """The event without choices that comes first is dropped, and its empty id is not taken."""
    chunks = repair([FILTER, event("stop", content="x")])

    assert "dc1a974e" == chunks[0]["id"]
    assert 1795330003 == chunks[0]["created"]
    assert [1] * len(chunks) == [len(chunk["choices"]) for chunk in chunks]


def test_what_is_missing_is_made() -> None:
    """An answer without id, created, index and object gets them, the same in every chunk."""
    chunks = repair([{"choices": [{"delta": {"content": "x"}, "finish_reason": "stop"}]}])

    assert NOW == chunks[0]["created"]
    assert chunks[0]["id"].startswith("chatcmpl-")


def test_ids_that_change_do_not_change_ours() -> None:
    """Id and created of the first event that says something hold for the whole stream."""
    changed = {**event("stop", content="b"), "id": "other", "created": 7}
    chunks = repair([event(content="a"), changed])

    assert {("dc1a974e", 1795330003)} == {(c["id"], c["created"]) for c in chunks}


def test_the_model_is_named_as_it_was_asked_for() -> None:
    """Copilot's own name for the model, which differs, is not passed on."""
    assert MODEL == complete([event("stop", content="x")])["model"]


def test_the_fingerprint_is_kept() -> None:
    """`system_fingerprint` stays on every chunk."""
    chunks = repair([{**event("stop", content="x"), "system_fingerprint": "fp_1"}])

    assert {"fp_1"} == {chunk["system_fingerprint"] for chunk in chunks}


@pytest.mark.parametrize(
    "events",
    [
        pytest.param([event("stop", content="x", usage=COUNTS)], id="on the finish"),
        pytest.param(
            [
                {**event(content="x"), "usage": None},
                {**event("stop"), "usage": None},
                {"choices": [], "usage": COUNTS},
            ],
            id="OpenAI's form",
        ),
        pytest.param(
            [event(content="x", usage=ZEROS), event("stop", usage=COUNTS)], id="zeros until the end"
        ),
        pytest.param(
            [event(content="x", usage=COUNTS), event("stop", usage=ZEROS)], id="zeros at the end"
        ),
        pytest.param([event(content="x"), {"choices": None, "usage": COUNTS}, event("stop")],
                     id="in between"),
    ],
)  # fmt: skip
def test_usage_from_anywhere(events: list[Any]) -> None:
    """Wherever a model puts its counts, they come last and alone, and only when asked for."""
    chunks = repair(events, include_usage=True)

    assert 11 == chunks[-1]["usage"]["total_tokens"]
    assert [] == chunks[-1]["choices"]
    assert all(chunk["usage"] is None for chunk in chunks[:-1])
    assert not any("usage" in chunk for chunk in repair(events))


def test_copilots_own_bill_stands_beside_the_usage() -> None:
    """`copilot_usage` comes with the usage, and without being asked for it does not come."""
    bill = {"total_nano_aiu": 112500000}
    events = [{**event("stop", content="x", usage=COUNTS), "copilot_usage": bill}]

    assert bill == complete(events)["copilot_usage"]
    assert [bill] == [
        chunk["copilot_usage"]
        for chunk in repair(events, include_usage=True)
        if "copilot_usage" in chunk
    ]
    assert not any("copilot_usage" in chunk for chunk in repair(events))


def test_no_counts_make_no_usage_chunk() -> None:
    """A model that counts nothing gets no invented usage."""
    chunks = repair([event("stop", content="x")], include_usage=True)

    assert [None] * 3 == [chunk["usage"] for chunk in chunks]


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        pytest.param([event("stop")], {"content": ""}, id="nothing said"),
        pytest.param([event("stop", content=None, role=None)], {"content": ""}, id="null role"),
        pytest.param(
            [event(content="a", role="assistant"), event("stop", content="b", role="assistant")],
            {"content": "ab"},
            id="role repeated",
        ),
        pytest.param(
            [{"choices": [{"index": 0, "delta": None}]}, event("stop", content="x")],
            {"content": "x"},
            id="null delta",
        ),
        pytest.param(
            [{"choices": None, "copilot_references": []}, event("stop", content="x")],
            {"content": "x"},
            id="null choices",
        ),
        pytest.param(
            [{"choices": {"index": 0}}, {"choices": 5}, {"choices": ["x", None]},
             event("stop", content="x")],
            {"content": "x"},
            id="choices that are none",
        ),
        pytest.param(
            [event("stop", content="x"), event(cot_id="cot_1")], {"content": "x"}, id="late cot_id"
        ),
        pytest.param(
            [{"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"},
                          {"index": 1, "delta": {"content": "b"}, "finish_reason": "stop"}]}],
            {"content": "ab"},
            id="split over choices",
        ),
        pytest.param(
            [event("stop", content=[{"type": "text", "text": "a"}, {"text": "b"}, "c",
                                    {"text": 5}, {"type": "image"}])],
            {"content": "ab"},
            id="content as parts",
        ),
        pytest.param(
            [event("stop", content="x", padding="abc", copilot_annotations={"Sexual": []})],
            {"content": "x"},
            id="padding and annotations",
        ),
        pytest.param([event("stop", refusal="No.")], {"refusal": "No."}, id="refusal"),
        pytest.param([event("stop", content=5)], {"content": ""}, id="content of another type"),
        pytest.param(
            [event(reasoning_text="a"), event("stop", reasoning_text="b", content="x")],
            {"reasoning_content": "ab", "content": "x"},
            id="reasoning_text",
        ),
        pytest.param(
            [event("stop", cot_summary="a", content="x")],
            {"reasoning_content": "a", "content": "x"},
            id="cot_summary",
        ),
        pytest.param(
            [event("stop", thinking="a", signature="s", content="x")],
            {"reasoning_content": "a", "content": "x"},
            id="thinking",
        ),
        pytest.param(
            [event(reasoning_text=None, reasoning_content="a"),
             event("stop", reasoning_opaque="o")],
            {"reasoning_content": "a", "reasoning_opaque": "o", "content": ""},
            id="reasoning_opaque",
        ),
    ],
)  # fmt: skip
def test_odd_deltas(events: list[Any], expected: dict[str, Any]) -> None:
    """Each odd form of a delta adds to the message what it says, and nothing else."""
    assert {"role": "assistant", **expected} == message_of(events)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("content_filter", "content_filter"),
        ("tool_calls", "stop"),  # without any call
        ("function_call", "stop"),
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("refusal", "content_filter"),
        ("pause_turn", "stop"),
    ],
)
def test_finish_reasons_without_calls(theirs: str, ours: str) -> None:
    """Every reason that a model may give is one of OpenAI's."""
    assert ours == finish_of([event(theirs, content="x")])


@pytest.mark.parametrize("theirs", ["stop", "tool_calls", "tool_use", "end_turn", "length"])
def test_finish_reasons_with_calls(theirs: str) -> None:
    """Whatever the model says, an answer with whole calls finishes with `tool_calls`."""
    assert "tool_calls" == finish_of([calling(call("c1", "f", "{}")), event(theirs)])


@pytest.mark.parametrize("reason", [None, "", 5])
def test_an_empty_reason_is_no_finish(reason: object) -> None:
    """A finish reason that says nothing does not end the answer."""
    data = {"choices": [{"delta": {"content": "x"}, "finish_reason": reason}]}

    with pytest.raises(BrokenResponse, match="broke off"):
        repair([data])


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ([], "Copilot sent an empty answer."),
        ([FILTER], "Copilot sent an empty answer."),
        ([event(content="x")], "Copilot's answer broke off before it was complete."),
        ([event("error", content="x")], "Copilot's model failed while it was answering."),
        ([[]], "Copilot sent an event that is not a JSON object."),
        ([b"<html>"], "Copilot sent an event that is not a JSON object."),
    ],
)
def test_what_is_no_answer_is_an_error(events: list[Any], message: str) -> None:
    """Nothing, half an answer and a failed one are told as such, and no SDK repeats the call."""
    with pytest.raises(BrokenResponse) as caught:
        repair(events)

    assert message == caught.value.message
    assert (502, "upstream_broken") == (caught.value.status, caught.value.code)
    assert "false" == caught.value.headers["x-should-retry"]


def test_an_error_event_is_raised_as_what_it_is() -> None:
    """An error in mid-stream keeps its message and code, and is not to be repeated."""
    stream = ChatRepair(MODEL)
    stream.feed(event(content="x"))

    with pytest.raises(UpstreamRefusal) as caught:
        stream.feed({"error": {"message": "slow down", "code": "rate_limited"}})

    assert (429, "slow down") == (caught.value.status, caught.value.message)
    assert "false" == caught.value.headers["x-should-retry"]


@pytest.mark.parametrize("error", [None, {}, "", False])
def test_an_empty_error_is_none(error: object) -> None:
    """An `error` key that says nothing does not end a stream."""
    assert "x" == message_of([{**event("stop", content="x"), "error": error}])["content"]


def test_a_stream_knows_when_it_is_finished() -> None:
    """Only once the model has said its finish may a cut connection be forgiven."""
    stream = ChatRepair(MODEL)
    stream.feed(event(content="x"))
    assert not stream.is_finished

    stream.feed(event("stop"))
    assert stream.is_finished


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ({"content": [LOGPROB]}, {"content": [LOGPROB], "refusal": None}),
        ({"content": None, "refusal": [LOGPROB]}, {"content": None, "refusal": [LOGPROB]}),
        ({"content": [LOGPROB, 5]}, {"content": [LOGPROB], "refusal": None}),
        ({"content": []}, None),
        ({"content": "x", "other": [LOGPROB]}, None),
        ("x", None),
        (None, None),
    ],
)
def test_logprobs(theirs: object, ours: object) -> None:
    """Log probabilities come with both lists that the schema wants, or not at all."""
    choice = {"delta": {"content": "Hi"}, "logprobs": theirs, "finish_reason": "stop"}

    assert ours == repair([{"choices": [choice]}])[1]["choices"][0]["logprobs"]
    assert ours == complete([{"choices": [choice]}])["choices"][0]["logprobs"]


def test_logprobs_of_all_chunks_add_up() -> None:
    """Those that come without a text have a chunk as well, and a whole answer holds all."""
    choice = {"delta": {}, "logprobs": {"content": [LOGPROB]}}
    events = [{"choices": [choice]}, {"choices": [choice]}, event("stop")]

    assert [LOGPROB] * 2 == complete(events)["choices"][0]["logprobs"]["content"]


@pytest.mark.parametrize("created", [0, -1, True, "x", 1.5, None])
def test_a_created_that_is_no_time_is_replaced(created: object) -> None:
    """`created` is always whole seconds."""
    assert NOW == complete([{**event("stop", content="x"), "created": created}])["created"]
