"""Copilot's Responses streams become chat chunks."""

from typing import Any

import pytest

from copilot_proxy.errors import BrokenResponse, UpstreamError
from copilot_proxy.formats.chat_completions.completion_from_chunks import completion_from_chunks
from copilot_proxy.formats.responses.stream_to_chat import ResponsesToChat
from copilot_proxy.formats.responses.usage import usage_to_chat
from copilot_proxy.formats.types import Json
from tests.formats.answers import MODEL, NOW, deltas_of
from tests.formats.openai_schemas import check_completion
from tests.formats.responses.answers import COSTS, USAGE, Upstream, chunks_of, message_of


def calls_of(message: Json) -> list[tuple[str, str, str]]:
    return [
        (call["id"], call["function"]["name"], call["function"]["arguments"])
        for call in message.get("tool_calls", ())
    ]


def items(up: Upstream) -> list[Json]:
    """Return the events of one item of each type."""
    return [
        *up.reasoning(0, "**Plan**", "Then act.", encrypted="gAAAA"),
        *up.text(1, "Hel", "lo"),
        *up.call(2, "f", '{"a"', ":1}", call_id="a"),
        *up.reasoning(3, "More.", encrypted="gBBBB"),
        *up.call(4, "g", call_id="b", end="{}"),
    ]


def test_events_become_chunks_at_once() -> None:
    """Each event immediately becomes a chunk, in order; the end of the stream follows."""
    up = Upstream()

    chunks = chunks_of(up.whole([*up.text(0, "Hel", "lo"), *up.call(1, "f", '{"a"', ":1}")]))

    function = {"name": "f", "arguments": ""}
    assert [
        {"role": "assistant", "content": ""},
        {"content": "Hel"},
        {"content": "lo"},
        {"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": function}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"a"'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]},
        {},
    ] == deltas_of(chunks)
    assert "tool_calls" == chunks[-2]["choices"][0]["finish_reason"]
    assert COSTS == chunks[-1]["copilot_usage"]
    assert {
        "prompt_tokens": 812,
        "completion_tokens": 40,
        "total_tokens": 852,
        "prompt_tokens_details": {"cached_tokens": 512, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 12,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    } == chunks[-1]["usage"]


def test_all_items_reach_the_hub() -> None:
    """Text, encrypted reasoning, and calls with their ids all become chat chunks."""
    up = Upstream()

    message = message_of(up.whole(items(up)))

    assert "Hello" == message["content"]
    assert "**Plan**\n\nThen act.\n\nMore." == message["reasoning_content"]
    assert "responses:gAAAA gBBBB" == message["reasoning_opaque"]
    assert [("a", "f", '{"a":1}'), ("b", "g", "{}")] == calls_of(message)


def test_a_whole_response_becomes_the_same_message() -> None:
    """A response that was not streamed results in the same message."""
    up = Upstream()
    events = up.whole(items(up))
    last = events[-1]
    body = {**last["response"], "copilot_usage": COSTS, "created_at": 5}

    whole = completion_from_chunks(chunks_of([body]))

    check_completion(whole)
    assert 5 == whole["created"]
    message = whole["choices"][0]["message"]
    assert message_of(events) == {k: v for k, v in message.items() if v is not None}
    assert (COSTS, 852) == (whole["copilot_usage"], whole["usage"]["total_tokens"])
    del body["status"]
    assert message_of(events) == message_of([body])


@pytest.mark.parametrize("kept", ["done", "end", "all"])
def test_content_that_comes_only_at_the_end_is_kept(kept: str) -> None:
    """Content that is only in a whole item or in the final response is not lost."""
    up = Upstream()
    events = up.whole(items(up))
    endings = ("response.output_item.done",) if kept == "done" else ()

    thinned = [
        event
        for event in events
        if kept == "all" or event["type"] in endings or event["type"].count(".") == 1
    ]

    assert message_of(events) == message_of(thinned)


def test_complete_texts_add_only_missing_parts() -> None:
    """The whole text at the end adds any missing part, and repeats nothing."""
    up = Upstream()
    events = up.text(0, "Hel")
    events[-1]["item"]["content"][0]["text"] = "Hello"
    other = up.text(1, "a")
    other[-1]["item"]["content"][0]["text"] = "b"

    assert "Hello\n\na" == message_of(up.whole([*events, *other]))["content"]


@pytest.mark.parametrize(
    ("pieces", "end", "arguments"),
    [
        (["{", "}"], None, "{}"),
        ([], '{"a":1}', '{"a":1}'),
        (['{"a"'], '{"a":1}', '{"a":1}'),
        ([], "", "{}"),
        (["{}"], '{"b":2}', "{}"),
    ],
)
def test_arguments_are_whole(pieces: list[str], end: str | None, arguments: str) -> None:
    """Arguments may come in pieces, at the end, or not at all, which means an empty object."""
    up = Upstream()

    message = message_of(up.whole(up.call(0, "f", *pieces, end=end)))

    assert [("call_1", "f", arguments)] == calls_of(message)


def test_interleaved_calls_are_separated() -> None:
    """Interleaved pieces of several calls are distinguished by the index of their items."""
    up = Upstream()
    one = up.call(0, "f", '{"a":', "1}", call_id="a")
    two = up.call(3, "g", '{"b":', "2}", call_id="b")
    mixed = [event for pair in zip(one, two, strict=True) for event in pair]

    message = message_of(up.whole(mixed))

    assert [("a", "f", '{"a":1}'), ("b", "g", '{"b":2}')] == calls_of(message)


def test_calls_only_in_the_final_event_are_added() -> None:
    """A call that is only in the final event is added, whatever its position."""
    up = Upstream()
    one = up.call(0, "f", "{}", call_id="a")
    two = up.call(1, "g", '{"b":2}', call_id="b")
    stream = [*up.begin(), *one, up.end([two[-1], one[-1]])]

    assert [("a", "f", "{}"), ("b", "g", '{"b":2}')] == calls_of(message_of(stream))


def test_calls_with_the_same_id_are_kept() -> None:
    """Two calls with the same id get different ids, in a stream and in a whole response."""
    up = Upstream()
    calls = [*up.call(0, "f", '{"a":1}', call_id="a"), *up.call(1, "f", '{"b":2}', call_id="a")]
    stream = up.whole(calls)

    expected = [("a", "f", '{"a":1}'), ("a_2", "f", '{"b":2}')]
    assert expected == calls_of(message_of(stream))
    assert expected == calls_of(message_of([stream[-1]]))


@pytest.mark.parametrize("pieces", [(), ('x"',), ("x", '"')])
def test_a_custom_call_stays_one(pieces: tuple[str, ...]) -> None:
    """A custom tool call stays a custom call for chat clients, with or without deltas."""
    up = Upstream()
    item = {"type": "custom_tool_call", "call_id": "a", "name": "p", "input": 'x"'}
    at = {"output_index": 0, "item_id": up.id()}
    base = "response.custom_tool_call_input"
    events = [{"type": f"{base}.delta", **at, "delta": piece} for piece in pieces]
    events += [{"type": f"{base}.done", **at, "input": 'x"'}] if pieces else []

    stream = up.whole([up.added(0, {**item, "input": ""}), *events, up.done(0, item)])

    call = {"id": "a", "type": "custom", "custom": {"name": "p", "input": 'x"'}}
    assert [call] == message_of(stream)["tool_calls"]
    assert [call] == message_of([stream[-1]])["tool_calls"]


def test_refusals_are_refusals() -> None:
    """A refusal remains a refusal, streamed or not."""
    up = Upstream()
    events = up.whole(up.text(0, "I ", "won't", kind="refusal"))

    assert "I won't" == message_of(events)["refusal"]
    assert "I won't" == message_of([events[-1]])["refusal"]


def test_raw_reasoning_becomes_reasoning() -> None:
    """Reasoning text is used like a reasoning summary."""
    delta = {"type": "response.reasoning_text.delta", "output_index": 0, "delta": "Hm."}

    assert "Hm." == message_of([delta, Upstream().end([])])["reasoning_content"]


def test_raw_reasoning_of_a_whole_response() -> None:
    """Reasoning text is included exactly once, whether or not it was streamed."""
    up = Upstream()
    delta = {"type": "response.reasoning_text.delta", "output_index": 0, "delta": "Hm."}
    content = [{"type": "reasoning_text", "text": "Hm."}]
    done = up.done(0, {"type": "reasoning", "summary": [], "content": content})

    for events in ([up.end([done])], [done, up.end([done])], [delta, done, up.end([done])]):
        assert "Hm." == message_of(events)["reasoning_content"]


def test_encrypted_content_with_spaces_is_dropped() -> None:
    """Spaces separate pieces of encrypted content, so a piece that contains spaces is dropped."""
    up = Upstream()

    message = message_of(up.whole([*up.reasoning(0, "x", encrypted="A B"), *up.text(1, "y")]))

    assert "reasoning_opaque" not in message


@pytest.mark.parametrize(
    ("kind", "details", "finish"),
    [
        ("completed", None, "stop"),
        ("incomplete", {"reason": "max_output_tokens"}, "length"),
        ("incomplete", {"reason": "content_filter"}, "content_filter"),
        ("incomplete", None, "length"),
    ],
)
def test_finish_reasons(kind: str, details: Json | None, finish: str) -> None:
    """A response that was cut off has the matching finish reason."""
    up = Upstream()
    text = up.text(0, "Hi")

    streamed = chunks_of([*up.begin(), *text, up.end(text, kind, incomplete_details=details)])
    whole = chunks_of([up.end(text, kind, incomplete_details=details)["response"]])

    for chunks in (streamed, whole):
        assert finish == chunks[-2]["choices"][0]["finish_reason"]


def test_an_unfinished_call_is_not_completed() -> None:
    """A call that was cut off has the finish reason length, and keeps its partial arguments."""
    up = Upstream()
    call = up.call(0, "f", '{"a"')[:-2]

    chunks = chunks_of([*up.begin(), *call, up.end([], "incomplete")])

    assert "length" == chunks[-2]["choices"][0]["finish_reason"]
    assert (
        '{"a"'
        == completion_from_chunks(chunks)["choices"][0]["message"]["tool_calls"][0]["function"][
            "arguments"
        ]
    )


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ({"type": "error", "code": "server_error", "message": "No."}, "No."),
        ({"type": "error", "error": {"message": "No.", "code": "rate_limited"}}, "No."),
        ({"error": {"message": "No."}}, "No."),
        (Upstream().end([], "failed", error={"code": "server_error", "message": "No."}), "No."),
        (Upstream().end([], "failed", error=None), "no message"),
        (["odd"], "not a JSON object"),
    ],
)
def test_errors_are_raised(event: Any, message: str) -> None:
    """A failed response never looks complete, and its cost is reported."""
    up = Upstream()
    stream = ResponsesToChat(MODEL, now=NOW)
    for begun in [*up.begin(), *up.text(0, "Hi")]:
        stream.feed(begun)

    with pytest.raises(UpstreamError, match=message):
        stream.feed(event)
    if isinstance(event, dict) and "response" in event:
        assert stream.usage is not None
        assert COSTS == stream.copilot_usage


@pytest.mark.parametrize("status", ["in_progress", "queued", "cancelled"])
def test_a_whole_response_that_has_not_ended_is_an_error(status: str) -> None:
    """A whole response that is unfinished is an error."""
    with pytest.raises(BrokenResponse):
        chunks_of([{"object": "response", "status": status, "output": [], "usage": USAGE}])


@pytest.mark.parametrize("cut", range(30))
def test_a_cut_stream_is_an_error(cut: int) -> None:
    """A response without its final event never counts as complete, wherever it was cut."""
    up = Upstream()
    events = up.whole(items(up))

    with pytest.raises(BrokenResponse):
        chunks_of(events[: min(cut, len(events) - 1)])


def test_a_model_stuck_in_blank_lines_is_stopped() -> None:
    """Endless whitespace in arguments ends the response before it costs more."""
    up = Upstream()

    with pytest.raises(BrokenResponse) as caught:
        chunks_of(up.call(0, "f", *["\n\t"] * 11))

    assert "runaway_whitespace" == caught.value.code


def test_events_after_the_end_are_ignored() -> None:
    """Events after the final event change nothing."""
    up = Upstream()
    events = up.whole(up.text(0, "Hi"))
    stream = ResponsesToChat(MODEL, now=NOW)
    for event in events:
        stream.feed(event)

    assert stream.is_finished
    assert [] == stream.feed(events[-1])
    assert 1 == len(stream.close())


def test_an_odd_recorded_stream_is_read() -> None:
    """Text of an item that was not announced is kept, and unknown events are ignored."""
    events: list[Json] = [
        {"type": "response.created", "response": {"created_at": 7, "output": []}},
        {"type": "response.output_text.delta", "output_index": None, "delta": "Hi"},
        {"type": "response.function_call_arguments.delta", "output_index": 0, "delta": "{"},
        {"type": "response.made_up"},
        {"type": "response.output_item.added", "item": None},
        {"type": "response.output_text.delta", "delta": 5},
        {"odd": 1},
        {"type": "response.completed", "response": {"output": []}},
    ]

    chunks = chunks_of(events)

    assert "Hi" == completion_from_chunks(chunks)["choices"][0]["message"]["content"]
    assert 7 == chunks[0]["created"]


def test_tokens_written_to_the_cache() -> None:
    """Tokens written to the cache have their own price, so they are counted separately."""
    details = {"cached_tokens": 3, "cache_write_tokens": 4}
    usage: Any = usage_to_chat({"input_tokens": 9, "input_tokens_details": details})

    assert 4 == usage["prompt_tokens_details"]["cache_creation_input_tokens"]
