"""Every recorded response is converted to OpenAI's schema, and nothing is lost."""

import json
from typing import Any

import msgspec
import pytest

from copilot_proxy.formats.sse import DONE, EventDecoder
from tests.conftest import RECORDINGS, recorded_events, recorded_json
from tests.formats.answers import MODEL, calls_of, complete, message_of, repair
from tests.selection import crossed

STREAMS = [
    "plain-text.sse",
    "tool-call.sse",
    "claude-parallel-tool-calls.sse",
    "gemini-reasoning-tool-call.sse",
]
ANSWERS = [
    "claude-split-choices-response.json",
    "simple-response.json",
    "tool-call-response.json",
    "tool-call-followup-response.json",
]


def said(events: list[Any], field: str) -> str:
    """Return the joined texts of `field` in the recorded events."""
    choices = [choice for event in events for choice in event["choices"]]
    return "".join(choice["delta"].get(field) or "" for choice in choices)


def fragments(events: list[Any]) -> list[dict[str, Any]]:
    choices = [choice for event in events for choice in event["choices"]]
    return [part for choice in choices for part in choice["delta"].get("tool_calls", ())]


def called(events: list[Any]) -> list[tuple[str, str, str]]:
    """Return the id, name and arguments of the recorded calls; each id begins a new call."""
    calls: list[list[str]] = []
    for part in fragments(events):
        if "id" in part:
            calls.append([part["id"], part["function"]["name"], ""])
        calls[-1][2] += part["function"].get("arguments", "")
    return [(id, name, arguments) for id, name, arguments in calls]


@pytest.mark.parametrize("include_usage", [True, False])
@pytest.mark.parametrize("name", STREAMS)
def test_recorded_streams_are_valid_streams(name: str, include_usage: bool) -> None:
    """Each recording becomes a valid OpenAI stream, with usage only if requested."""
    events = recorded_events(name)
    chunks = repair(events, include_usage=include_usage)
    counted = any(event.get("usage") for event in events)

    assert (include_usage and counted) == any(chunk.get("usage") for chunk in chunks)
    assert {MODEL} == {chunk["model"] for chunk in chunks}


@pytest.mark.parametrize("name", STREAMS)
def test_recorded_streams_are_complete(name: str) -> None:
    """Every character, call id and argument of a recorded stream is in the response."""
    events = recorded_events(name)
    message = message_of(events)

    assert said(events, "content") == message.get("content", "")
    assert said(events, "reasoning_text") == message.get("reasoning_content", "")
    assert said(events, "reasoning_opaque") == message.get("reasoning_opaque", "")
    assert called(events) == calls_of(events)


@crossed(size=[1, 2, 3, 7, 1000], name=STREAMS)
def test_recorded_streams_however_they_are_split(name: str, size: int) -> None:
    """The response does not depend on how the bytes of a recording are split."""
    data = (RECORDINGS / name).read_bytes()
    decoder = EventDecoder()
    events = [
        msgspec.json.decode(event)
        for at in range(0, len(data), size)
        for event in decoder.feed(data[at : at + size])
        if event != DONE
    ]

    assert complete(recorded_events(name)) == complete(events)


@pytest.mark.parametrize("name", STREAMS)
def test_a_recorded_stream_without_its_end_is_an_error(name: str) -> None:
    """Without the finish reason, a recording is not accepted as a complete response."""
    events = recorded_events(name)
    finished = [any(c.get("finish_reason") for c in event["choices"]) for event in events]

    with pytest.raises(Exception, match="was cut off before it was complete"):
        complete(events[: finished.index(True)])


def test_the_recorded_parallel_calls_are_two() -> None:
    """Two Claude calls that both have index 0 stay separate, numbered 0 and 1."""
    calls = calls_of(recorded_events("claude-parallel-tool-calls.sse"))

    assert [
        ("tooluse_448k6WHnTpS28K0Bd1bhgA", "edit_file"),
        ("tooluse_2SRF2HShTXOoLdGrjWuGiw", "edit_file"),
    ] == [(id, name) for id, name, _ in calls]
    assert all(arguments.endswith('"}') for _, _, arguments in calls)


def test_the_recorded_gemini_usage_adds_up() -> None:
    """Gemini's reasoning tokens count as completion tokens, so that the parts sum to the total."""
    events = recorded_events("gemini-reasoning-tool-call.sse")
    theirs, ours = events[-1]["usage"], complete(events)["usage"]

    assert theirs["reasoning_tokens"] == ours["completion_tokens_details"]["reasoning_tokens"]
    assert theirs["completion_tokens"] + theirs["reasoning_tokens"] == ours["completion_tokens"]
    assert theirs["total_tokens"] == ours["prompt_tokens"] + ours["completion_tokens"]


@pytest.mark.parametrize("name", ANSWERS)
def test_recorded_whole_answers(name: str) -> None:
    """Each recorded whole response becomes one valid completion, with all its text and calls."""
    answer = recorded_json(f"openai-chat-completions/{name}")
    messages = [choice["message"] for choice in answer["choices"]]
    completion = complete([answer])
    message = completion["choices"][0]["message"]

    assert "".join(m.get("content") or "" for m in messages) == (message["content"] or "")
    assert [call for m in messages for call in m.get("tool_calls", ())] == message.get(
        "tool_calls", []
    )
    assert answer["choices"][0]["finish_reason"] == completion["choices"][0]["finish_reason"]
    assert answer["id"] == completion["id"]
    assert answer["usage"]["total_tokens"] == completion["usage"]["total_tokens"]
    assert "padding" not in json.dumps(completion)
    assert "filter" not in json.dumps(completion)


def test_the_recorded_split_choices_are_merged() -> None:
    """A Claude response with two choices becomes one choice with text and call."""
    message = message_of([recorded_json(f"openai-chat-completions/{ANSWERS[0]}")])

    assert "I'll check the current weather for both London and Paris for you." == message["content"]
    assert ["tooluse_0QuujwyeSCGpbfteXu-sHw"] == [call["id"] for call in message["tool_calls"]]


def test_a_valid_stream_is_not_changed() -> None:
    """Events that already match the schema keep their text, id and finish reason."""
    path = RECORDINGS / "openai-chat-completions" / "streaming-events.jsonl"
    completion = complete(json.loads(line) for line in path.read_text().splitlines())

    assert "chatcmpl_stream" == completion["id"]
    assert 1772432000 == completion["created"]
    assert "Hello there." == completion["choices"][0]["message"]["content"]
    assert "stop" == completion["choices"][0]["finish_reason"]
