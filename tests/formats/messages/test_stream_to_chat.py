"""Responses from models that Copilot serves on Messages become chat chunks."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from copilot_proxy.errors import BrokenResponse, UpstreamRefusal
from copilot_proxy.formats.chat_completions.completion_from_chunks import completion_from_chunks
from copilot_proxy.formats.messages.stream_to_chat import MessagesToChat
from copilot_proxy.formats.types import ChatChunk, ChatCompletion, Json, MessagesEvent
from tests.formats.answers import MODEL, NOW, check_stream, deltas_of
from tests.formats.messages.samples import SIGNATURE, recorded, text, use
from tests.formats.openai_schemas import check_completion
from tests.selection import every_value

RECORDED = [
    json.loads(line)
    for line in (Path(__file__).parent / "recordings" / "streaming-events.jsonl")
    .read_text()
    .splitlines()
]
START: Json = {"type": "message_start", "message": {"id": "msg_1", "usage": {"input_tokens": 9}}}
STOP: Json = {"type": "message_stop"}


def begin(index: int, block: Json) -> MessagesEvent:
    return {"type": "content_block_start", "index": index, "content_block": block}


def add(index: int, **delta: Any) -> MessagesEvent:
    return {"type": "content_block_delta", "index": index, "delta": delta}


def says(index: int, words: str) -> MessagesEvent:
    return add(index, type="text_delta", text=words)


def thinks(index: int, words: str) -> MessagesEvent:
    return add(index, type="thinking_delta", thinking=words)


def signs(index: int, signature: str = SIGNATURE) -> MessagesEvent:
    return add(index, type="signature_delta", signature=signature)


def puts(index: int, json_text: str) -> MessagesEvent:
    return add(index, type="input_json_delta", partial_json=json_text)


def end(index: int) -> MessagesEvent:
    return {"type": "content_block_stop", "index": index}


def finish(reason: str | None = "end_turn", **more: Any) -> MessagesEvent:
    return {"type": "message_delta", "delta": {"stop_reason": reason}, **more}


def translated(events: Iterable[Any], *, include_usage: bool = True) -> list[ChatChunk]:
    """Return the chunks, which follow OpenAI's rules for streams."""
    stream = MessagesToChat(MODEL, include_usage=include_usage, now=NOW)
    chunks = [chunk for data in events for chunk in stream.feed(data)]
    chunks += stream.close()
    check_stream(chunks, include_usage=include_usage)
    return chunks


def completed(events: Iterable[Any]) -> ChatCompletion:
    """Return the completion built from the events, which is valid against OpenAI's schema."""
    completion = completion_from_chunks(translated(events))
    check_completion(completion)
    return completion


def summary(events: Iterable[Any]) -> Json:
    """Return the finish reason and the message, without null fields and with calls as tuples."""
    choice = completed(events)["choices"][0]
    message = {name: v for name, v in choice["message"].items() if v is not None}
    del message["role"]
    if calls := message.pop("tool_calls", None):
        message["calls"] = [
            (c["id"], c["function"]["name"], c["function"]["arguments"]) for c in calls
        ]
    return {**message, "finish": choice["finish_reason"]}


def test_the_recorded_stream() -> None:
    """The chunks have the id of the message and the name of the requested model."""
    chunks = translated(RECORDED)

    assert [
        {"role": "assistant", "content": ""},
        {"content": "Hello from stream."},
        {},
    ] == deltas_of(chunks)
    assert {("msg_stream", MODEL, NOW)} == {(c["id"], c["model"], c["created"]) for c in chunks}
    assert (14, 5) == (
        chunks[-1]["usage"]["prompt_tokens"],
        chunks[-1]["usage"]["completion_tokens"],
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("simple", {"content": "Hello there friend.", "finish": "stop"}),
        (
            "tool-use",
            {
                "content": "I'll check the current weather in Tokyo for you.",
                "calls": [
                    ("toolu_bdrk_015V18wN95yDNKVKs8yXLUdD", "get_weather", '{"location":"Tokyo"}')
                ],
                "finish": "tool_calls",
            },
        ),
        (
            "thinking",
            {
                "reasoning_content": "Need a concise answer.",
                "reasoning_opaque": "messages:mock-signature",
                "content": "Done.",
                "finish": "stop",
            },
        ),
        ("server-tool", {"content": "Found a result.", "finish": "stop"}),
    ],
)
def test_recorded_messages(name: str, expected: Json) -> None:
    """A whole message becomes chunks; blocks of server tools are left out."""
    assert expected == summary([recorded(f"{name}-response")])


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("pause_turn", "length"),
        ("tool_use", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("refusal", "content_filter"),
        ("brand_new", "stop"),
    ],
)
def test_stop_reasons(reason: str, expected: str) -> None:
    """Each stop reason becomes a finish reason of OpenAI's, but never tool_calls without a call."""
    assert {"content": "a", "finish": expected} == summary(
        [START, begin(0, text("")), says(0, "a"), end(0), finish(reason), STOP]
    )


CALLED = [START, begin(1, use("t1", "f")), puts(1, '{"a'), puts(1, '":1}'), end(1)]


@every_value
@pytest.mark.parametrize(
    ("events", "calls", "reason"),
    [
        pytest.param(CALLED, [("t1", "f", '{"a":1}')], "tool_calls", id="in pieces"),
        pytest.param(
            [START, begin(1, use("t1")), end(1)], [("t1", "f", "{}")], "tool_calls", id="none"
        ),
        pytest.param(
            [START, begin(1, use("t1")), puts(1, ""), end(1)],
            [("t1", "f", "{}")],
            "tool_calls",
            id="an empty piece",
        ),
        pytest.param(
            [START, begin(1, use("t1", input={"a": 1})), end(1)],
            [("t1", "f", '{"a":1}')],
            "tool_calls",
            id="in the start event",
        ),
        pytest.param(
            [START, begin(1, use("t1", input={"a": 1}))],
            [("t1", "f", '{"a":1}')],
            "tool_calls",
            id="in a start event without an end",
        ),
        pytest.param(
            [START, begin(1, use("t1", input={"a": 1})), puts(1, '{"b":2}'), end(1)],
            [("t1", "f", '{"b":2}')],
            "tool_calls",
            id="in the start event and in a delta",
        ),
        pytest.param(
            [*CALLED, begin(2, use("t2", "g")), end(2), begin(3, use("t3")), puts(3, "[]"), end(3)],
            [("t1", "f", '{"a":1}'), ("t2", "g", "{}"), ("t3", "f", "[]")],
            "tool_calls",
            id="several",
        ),
        pytest.param(
            [START, begin(1, use("t1")), puts(7, "x"), begin(1, use("t2")), puts(1, "{ }")],
            [("t1", "f", "{}"), ("t2", "f", "{ }")],
            "tool_calls",
            id="pieces without a call, and an index used twice",
        ),
    ],
)
@pytest.mark.parametrize("stop", ["tool_use", "end_turn", "max_tokens"])
def test_calls(events: list[MessagesEvent], calls: list[Any], reason: str, stop: str) -> None:
    """Calls are complete and numbered; the finish reason is tool_calls unless a call is cut off."""
    if stop == "max_tokens" and "{}" == calls[-1][2]:
        reason, calls = "length", [*calls[:-1], (*calls[-1][:2], "")]

    assert {"calls": calls, "finish": reason} == summary([*events, finish(stop), STOP])


def test_a_call_that_was_cut_off_finishes_with_length() -> None:
    """If the limit is reached mid-call, the finish reason is length."""
    events = [START, begin(0, use("t1")), puts(0, '{"a'), end(0), finish("max_tokens"), STOP]

    assert {"calls": [("t1", "f", '{"a')], "finish": "length"} == summary(events)


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        pytest.param(
            [
                begin(0, {"type": "thinking", "thinking": "H", "signature": ""}),
                thinks(0, "m."),
                signs(0, "EqQB"),
                signs(0, "abc="),
                end(0),
            ],
            {"reasoning_content": "Hm.", "reasoning_opaque": "messages:EqQBabc="},
            id="one",
        ),
        pytest.param(
            [begin(0, {"type": "thinking"}), thinks(0, "Hm."), signs(3), end(0)],
            {"reasoning_content": "Hm."},
            id="not signed",
        ),
        pytest.param(
            [begin(0, {"type": "thinking", "thinking": "", "signature": "aa"}), signs(0, None)],  # type: ignore[arg-type]
            {"reasoning_opaque": "messages:aa"},
            id="only a signature",
        ),
        pytest.param(
            [
                begin(0, {"type": "thinking"}),
                thinks(0, "Hm."),
                signs(0, "aa"),
                end(0),
                begin(1, {"type": "redacted_thinking", "data": "cc"}),
                end(1),
                begin(2, {"type": "redacted_thinking"}),
                end(2),
                begin(3, {"type": "thinking"}),
                thinks(3, "So."),
                signs(3, "bb"),
            ],
            {
                "reasoning_content": "Hm.\n\nSo.",
                "reasoning_opaque": "messages:aa 5:!cc 5:bb",
            },
            id="several",
        ),
    ],
)
def test_thinking(events: list[MessagesEvent], expected: Json) -> None:
    """Thinking becomes reasoning, and its signatures become the opaque value."""
    end_events = [begin(9, text("")), says(9, "a"), end(9), finish(), STOP]

    assert {"content": "a", "finish": "stop", **expected} == summary([START, *events, *end_events])


def test_the_usage_comes_last() -> None:
    """The last chunk has OpenAI's counts, including cached tokens, and Copilot's usage."""
    usage = {"cache_read_input_tokens": 400, "cache_creation_input_tokens": 20, "output_tokens": 5}
    copilot_usage = {"total_nano_aiu": 8100000}
    chunks = translated([START, finish(usage=usage, copilot_usage=copilot_usage), STOP])

    assert copilot_usage == chunks[-1]["copilot_usage"]
    assert (429, 5, 434, 400, 20) == (
        chunks[-1]["usage"]["prompt_tokens"],
        chunks[-1]["usage"]["completion_tokens"],
        chunks[-1]["usage"]["total_tokens"],
        chunks[-1]["usage"]["prompt_tokens_details"]["cached_tokens"],
        chunks[-1]["usage"]["prompt_tokens_details"]["cache_creation_input_tokens"],
    )


def test_usage_is_only_sent_if_requested() -> None:
    """Without include_usage, no chunk has usage, and every chunk has a choice."""
    chunks = translated(RECORDED, include_usage=False)

    assert all(chunk["choices"] and "usage" not in chunk for chunk in chunks)


def test_counts_are_known_before_the_end() -> None:
    """The prompt tokens are known even if the response breaks off."""
    stream = MessagesToChat(MODEL)
    stream.feed(START)

    assert (9, False) == ((stream.usage or {})["prompt_tokens"], stream.is_finished)


@pytest.mark.parametrize(
    "events",
    [
        [begin(0, text("a")), finish()],
        [says(0, "a"), finish()],
        [{"type": "ping"}, START, START, says(0, "a"), finish(), finish(None), {"type": "new"}],
        [START, begin("0", text("")), add(0, type="new"), says(None, "a"), finish()],  # type: ignore[arg-type]
        [{"type": "message_start", "message": 3}, says(0, "a"), {**finish(), "usage": 3}],
        [START, begin(0, text("a")), says(0, 3), thinks(0, None), puts(0, None), finish()],  # type: ignore[arg-type]
    ],
)
def test_unusual_streams_keep_their_text(events: list[MessagesEvent]) -> None:
    """No text is lost if events are missing, repeated, unknown or have fields of the wrong type."""
    assert {"content": "a", "finish": "stop"} == summary(events)


def test_a_stream_without_its_last_event_is_complete() -> None:
    """A stream that ends after the stop reason is complete."""
    stream = MessagesToChat(MODEL)
    for event in RECORDED[:-1]:
        stream.feed(event)

    assert stream.is_finished
    assert "stop" == stream.close()[-1]["choices"][0]["finish_reason"]


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ([], "Copilot sent an empty answer."),
        ([{"type": "ping"}, STOP], "Copilot sent an empty answer."),
        (RECORDED[:3], "Copilot's answer was cut off before it was complete."),
        ([START, STOP], "Copilot's answer was cut off before it was complete."),
        ([b"odd"], "Copilot sent an event that is not a JSON object."),
    ],
)
def test_an_incomplete_stream_is_broken(events: list[Any], message: str) -> None:
    """A response that is empty or cut off never looks complete."""
    with pytest.raises(BrokenResponse) as caught:
        translated(events)

    assert message == caught.value.message


@pytest.mark.parametrize(
    "error",
    [
        {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
        {"error": {"message": "Overloaded", "code": "model_overloaded"}},
    ],
)
def test_an_error_in_the_stream_is_raised(error: MessagesEvent) -> None:
    """An error event in either format raises an error."""
    with pytest.raises(UpstreamRefusal) as caught:
        translated([START, error])

    assert "Overloaded" == caught.value.message


def test_a_model_that_is_stuck_is_stopped() -> None:
    """Endless blank lines in a tool's input end the response, since the user pays for them."""
    with pytest.raises(BrokenResponse) as caught:
        translated([START, begin(0, use()), puts(0, "{" + "\n\t\r" * 7)])

    assert "runaway_whitespace" == caught.value.code
