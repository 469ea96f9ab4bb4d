"""For each irregularity of Copilot's models, the events and the expected response."""

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
    """The role comes first, then texts, then the finish reason alone, as clients expect."""
    assert [
        {"role": "assistant", "content": ""},
        {"content": "Hel"},
        {"content": "lo"},
        {},
    ] == deltas_of(repair([event(content="Hel", role="assistant"), event("stop", content="lo")]))


def test_the_leading_filter_event_makes_no_chunk() -> None:
    """The leading event without choices is dropped, and its empty id is not used."""
    chunks = repair([FILTER, event("stop", content="x")])

    assert "dc1a974e" == chunks[0]["id"]
    assert 1795330003 == chunks[0]["created"]
    assert [1] * len(chunks) == [len(chunk["choices"]) for chunk in chunks]


def test_missing_fields_are_added() -> None:
    """Missing id, created, index and object are added, with the same values in every chunk."""
    chunks = repair([{"choices": [{"delta": {"content": "x"}, "finish_reason": "stop"}]}])

    assert NOW == chunks[0]["created"]
    assert chunks[0]["id"].startswith("chatcmpl-")


def test_the_first_id_is_used_for_the_whole_stream() -> None:
    """The id and time of the first event with content are used for the whole stream."""
    changed = {**event("stop", content="b"), "id": "other", "created": 7}
    chunks = repair([event(content="a"), changed])

    assert {("dc1a974e", 1795330003)} == {(c["id"], c["created"]) for c in chunks}


def test_chunks_have_the_requested_model_name() -> None:
    """Chunks have the model name from the request, not Copilot's name for the model."""
    assert MODEL == complete([event("stop", content="x")])["model"]


@pytest.mark.parametrize("name", ["system_fingerprint", "service_tier"])
def test_the_fields_of_the_whole_answer_are_kept(name: str) -> None:
    """Every chunk has the fingerprint and the service tier, if Copilot sends them."""
    chunks = repair([{**event("stop", content="x"), name: "some"}])

    assert {"some"} == {chunk[name] for chunk in chunks}
    assert not any(name in chunk for chunk in repair([{**event("stop", content="x"), name: None}]))


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
    """Token counts are sent last, in their own chunk, and only if requested."""
    chunks = repair(events, include_usage=True)

    assert 11 == chunks[-1]["usage"]["total_tokens"]
    assert [] == chunks[-1]["choices"]
    assert all(chunk["usage"] is None for chunk in chunks[:-1])
    assert not any("usage" in chunk for chunk in repair(events))


def test_copilot_usage_is_sent_with_the_usage() -> None:
    """`copilot_usage` is sent with the usage, and only if usage was requested."""
    bill = {"total_nano_aiu": 112500000}
    events = [{**event("stop", content="x", usage=COUNTS), "copilot_usage": bill}]

    assert bill == complete(events)["copilot_usage"]
    assert [bill] == [
        chunk["copilot_usage"]
        for chunk in repair(events, include_usage=True)
        if "copilot_usage" in chunk
    ]
    assert not any("copilot_usage" in chunk for chunk in repair(events))


def test_without_counts_there_is_no_usage_chunk() -> None:
    """If a model sends no counts, no usage is invented."""
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
            [
                {"choices": None, "copilot_confirmation": {"title": "Sure?", "message": "Really?"}},
                {"choices": None, "copilot_errors": [{"type": "agent", "message": "Oh"}]},
                event("stop", content="x"),
            ],
            {"content": "x"},
            id="what only agents of GitHub send",
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
    """Each irregular delta adds exactly its content to the message."""
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
        ("pause_turn", "length"),
    ],
)
def test_finish_reasons_without_calls(theirs: str, ours: str) -> None:
    """Every finish reason of a model becomes one of OpenAI's."""
    assert ours == finish_of([event(theirs, content="x")])


@pytest.mark.parametrize("theirs", ["stop", "tool_calls", "tool_use", "end_turn", "length"])
def test_finish_reasons_with_calls(theirs: str) -> None:
    """With complete calls, the finish reason is `tool_calls`, whatever the model sent."""
    assert "tool_calls" == finish_of([calling(call("c1", "f", "{}")), event(theirs)])


@pytest.mark.parametrize("reason", [None, "", 5])
def test_an_empty_finish_reason_is_ignored(reason: object) -> None:
    """An empty finish reason does not end the response."""
    data = {"choices": [{"delta": {"content": "x"}, "finish_reason": reason}]}

    with pytest.raises(BrokenResponse, match="was cut off"):
        repair([data])


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ([], "Copilot sent an empty answer."),
        ([FILTER], "Copilot sent an empty answer."),
        ([event(content="x")], "Copilot's answer was cut off before it was complete."),
        ([event("error", content="x")], "The model failed while it was answering."),
        ([[]], "Copilot sent an event that is not a JSON object."),
        ([b"<html>"], "Copilot sent an event that is not a JSON object."),
    ],
)
def test_incomplete_responses_are_errors(events: list[Any], message: str) -> None:
    """Empty, incomplete and failed responses raise errors that SDKs do not retry."""
    with pytest.raises(BrokenResponse) as caught:
        repair(events)

    assert message == caught.value.message
    assert (502, "upstream_broken") == (caught.value.status, caught.value.code)
    assert "false" == caught.value.headers["x-should-retry"]


def test_an_error_event_is_raised() -> None:
    """An error mid-stream keeps its message and code, and must not be retried."""
    stream = ChatRepair(MODEL)
    stream.feed(event(content="x"))

    with pytest.raises(UpstreamRefusal) as caught:
        stream.feed({"error": {"message": "slow down", "code": "rate_limited"}})

    assert (429, "slow down") == (caught.value.status, caught.value.message)
    assert "false" == caught.value.headers["x-should-retry"]


@pytest.mark.parametrize("error", [None, {}, "", False])
def test_an_empty_error_is_ignored(error: object) -> None:
    """An empty `error` key does not end a stream."""
    assert "x" == message_of([{**event("stop", content="x"), "error": error}])["content"]


def test_when_a_stream_is_finished() -> None:
    """A stream is finished only once the finish reason has arrived."""
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
    """Log probabilities have both lists that the schema requires, or are null."""
    choice = {"delta": {"content": "Hi"}, "logprobs": theirs, "finish_reason": "stop"}

    assert ours == repair([{"choices": [choice]}])[1]["choices"][0]["logprobs"]
    assert ours == complete([{"choices": [choice]}])["choices"][0]["logprobs"]


def test_logprobs_of_all_chunks_add_up() -> None:
    """Log probabilities without text get their own chunk; a whole response contains all of them."""
    choice = {"delta": {}, "logprobs": {"content": [LOGPROB]}}
    events = [{"choices": [choice]}, {"choices": [choice]}, event("stop")]

    assert [LOGPROB] * 2 == complete(events)["choices"][0]["logprobs"]["content"]


@pytest.mark.parametrize("created", [0, -1, True, "x", 1.5, None])
def test_an_invalid_created_is_replaced(created: object) -> None:
    """`created` is always an integer number of seconds."""
    assert NOW == complete([{**event("stop", content="x"), "created": created}])["created"]
