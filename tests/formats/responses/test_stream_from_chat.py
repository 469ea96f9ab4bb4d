"""Chat chunks become Responses streams."""

from typing import Any

import pytest

from copilot_proxy.errors import BrokenResponse, UpstreamUnreachable
from copilot_proxy.formats.chat_completions.stream_repair import ChatRepair
from copilot_proxy.formats.responses.stream_from_chat import ChatToResponses
from copilot_proxy.formats.types import Json
from tests.formats.answers import MODEL, NOW, call, calling, event
from tests.formats.responses.answers import COSTS, check_event, read_strictly, request, write

TOOLS = [
    {"type": "custom", "name": "apply_patch"},
    {
        "type": "namespace",
        "name": "mcp__files__",
        "description": "Files.",
        "tools": [{"type": "function", "name": "read"}],
    },
]


def chunks(*events: Any) -> list[Json]:
    """Return the repaired chat chunks for `events` from a chat model."""
    stream = ChatRepair(MODEL, include_usage=True, now=NOW, custom_tools={"apply_patch"})
    out = [chunk for data in events for chunk in stream.feed(data)]
    return out + stream.close()


def output_of(*events: Any, **fields: Any) -> list[Json]:
    """Return the response's output without ids, checked as a stream and as a whole."""
    sent, whole = write(chunks(*events), request(**fields))
    assert sent[-1]["response"] == whole
    read_strictly(sent)
    return [{k: v for k, v in item.items() if k != "id"} for item in whole["output"]]


def message(*parts: Json, status: str = "completed") -> Json:
    return {"type": "message", "role": "assistant", "status": status, "content": list(parts)}


def text(words: str) -> Json:
    return {"type": "output_text", "text": words, "annotations": [], "logprobs": []}


def thought(*texts: str, **more: str) -> Json:
    return {
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": words} for words in texts],
        **more,
    }


def called(id: str, name: str = "f", arguments: str = "{}", **more: str) -> Json:
    return {
        "type": "function_call",
        "call_id": id,
        "name": name,
        "status": "completed",
        "arguments": arguments,
        **more,
    }


def test_a_text_is_a_complete_stream() -> None:
    """All events are present, in OpenAI's order, with all fields of their types."""
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}

    sent, whole = write(chunks(event(content="Hel"), event("stop", content="lo", usage=usage)))

    assert [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ] == [one["type"] for one in sent]
    response = read_strictly(sent)
    assert "Hello" == response.output_text
    assert ["Hel", "lo"] == [one["delta"] for one in sent if "delta" in one]
    assert {
        "input_tokens": 3,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": 2,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 5,
    } == whole["usage"]
    assert ("completed", NOW, MODEL) == (whole["status"], whole["created_at"], whole["model"])


@pytest.mark.parametrize(
    ("events", "output"),
    [
        ([event("stop")], []),
        ([event("stop", content="Hi")], [message(text("Hi"))]),
        (
            [event(content="a"), event(refusal="No."), event("stop", content="b")],
            [message(text("a"), {"type": "refusal", "refusal": "No."}, text("b"))],
        ),
        (
            [event(reasoning_text="th"), event(reasoning_text="ink"), event("stop", content="Hi")],
            [thought("think"), message(text("Hi"))],
        ),
        (
            [event(reasoning_text="think", reasoning_opaque="OPA"), event(reasoning_opaque="QUE"),
             event("stop", content="Hi")],
            [thought("think", encrypted_content="chat:OPAQUE"), message(text("Hi"))],
        ),
        (
            [event(reasoning_text="a", reasoning_opaque="messages:S"), event(content="Hi"),
             event(reasoning_text="b", reasoning_opaque=" 2:T"), event("stop")],
            [thought("a", encrypted_content="messages:S"), message(text("Hi")),
             thought("b", encrypted_content="messages:2:T")],
        ),
        # Gemini sends its encrypted reasoning with its calls.
        (
            [event(reasoning_text="think"), event(content="Hi"),
             event("stop", tool_calls=[call("c", "f", "{}")], reasoning_opaque="OPAQUE")],
            [thought("think"), message(text("Hi")), thought(encrypted_content="chat:OPAQUE"),
             called("c")],
        ),
        (
            [event(content="Hi"), event("stop", reasoning_opaque="responses:A B")],
            [message(text("Hi")), thought(encrypted_content="responses:A B")],
        ),
        ([event(reasoning_text="x", reasoning_opaque=" "), event("stop")], [thought("x")]),
        (
            [calling(call("a", "f", '{"x"')), calling(call("b", "g", index=1)),
             calling(call(arguments=":1}", index=0)), event("stop")],
            [called("a", arguments='{"x":1}'), called("b", "g")],
        ),
        (
            [calling(call("a", "f", "{}")), event("stop", content="After")],
            [called("a"), message(text("After"))],
        ),
        ([calling(call("a", "mcp__files__read", "{}")), event("stop")],
         [called("a", "read", namespace="mcp__files__")]),
        (
            [calling(call("a", "apply_patch", '{"input": "*** ')), calling(call(arguments='x"}')),
             event("stop")],
            [{"type": "custom_tool_call", "call_id": "a", "name": "apply_patch",
              "status": "completed", "input": "*** x"}],
        ),
    ],
)  # fmt: skip
def test_deltas_become_items(events: list[Json], output: list[Json]) -> None:
    """Reasoning, text, refusals and calls become items in the order in which they began."""
    assert output == output_of(*events, tools=TOOLS)


@pytest.mark.parametrize(
    ("events", "reason", "output"),
    [
        (
            [event("length", content="Hi")],
            "max_output_tokens",
            [message(text("Hi"), status="incomplete")],
        ),
        ([event("content_filter")], "content_filter", []),
        (
            [
                event(content="Hi"),
                calling(call("a", "f", "{}")),
                calling(call("b", "f", '{"x', index=1)),
                event("length"),
            ],
            "max_output_tokens",
            [message(text("Hi")), called("a"), called("b", arguments='{"x', status="incomplete")],
        ),
    ],
)  # fmt: skip
def test_a_cut_off_response_is_incomplete(
    events: list[Json], reason: str, output: list[Json]
) -> None:
    """A response that was cut off states the reason, and the incomplete item is marked."""
    sent, whole = write(chunks(*events))

    assert "response.incomplete" == sent[-1]["type"]
    assert ("incomplete", {"reason": reason}) == (whole["status"], whole["incomplete_details"])
    assert "completed_at" not in whole
    assert output == [{k: v for k, v in one.items() if k != "id"} for one in whole["output"]]
    read_strictly(sent)


def test_the_response_repeats_its_request() -> None:
    """Every field that OpenAI's schema requires is in the response."""
    asked: Json = {
        "instructions": "Be brief.",
        "metadata": {"a": "b"},
        "max_output_tokens": 9,
        "parallel_tool_calls": False,
        "reasoning": {"effort": "low"},
        "temperature": 0.5,
        "text": {"verbosity": "low", "format": None},
        "tool_choice": "required",
        "tools": [{"type": "function", "name": "f", "parameters": None, "strict": False}],
        "top_p": 0.1,
        "truncation": "auto",
    }

    full = write(chunks(event("stop")), request(**asked))[1]
    bare = write(chunks(event("stop")), request())[1]

    assert {
        **asked,
        "reasoning": {"effort": "low", "summary": None},
        "text": {"format": {"type": "text"}, "verbosity": "low"},
    } == {name: full[name] for name in asked}
    assert {
        "instructions": None,
        "metadata": {},
        "max_output_tokens": None,
        "parallel_tool_calls": True,
        "reasoning": {"effort": None, "summary": None},
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
    } == {name: bare[name] for name in asked}


def test_copilot_usage_is_next_to_the_response() -> None:
    """`copilot_usage` is in the final event, where Copilot itself puts it."""
    usage = {"prompt_tokens": 1}
    last = {**event("stop", content="x", usage=usage), "copilot_usage": COSTS}

    assert COSTS == write(chunks(last))[0][-1]["copilot_usage"]


def test_chunks_without_a_finish_are_an_error() -> None:
    """Chunks without a finish reason never result in a completed response."""
    writer = ChatToResponses(request(), MODEL)
    for chunk in chunks(event("stop", content="x"))[:-1]:
        writer.feed(chunk)

    with pytest.raises(BrokenResponse):
        writer.close()


@pytest.mark.parametrize("before", [0, 3])
def test_a_failure_ends_the_stream(before: int) -> None:
    """A stream that fails at any point stays valid and says what went wrong."""
    writer = ChatToResponses(request(), MODEL, now=NOW)
    sent = [
        one
        for chunk in chunks(event(content="Hi"), calling(call("a", "f")), event("stop"))[:before]
        for one in writer.feed(chunk)
    ]

    sent += writer.fail(UpstreamUnreachable("No answer.", sent=True, hint="Wait."), "req-1")

    assert ["response.created", "response.in_progress"] == [one["type"] for one in sent[:2]]
    assert "response.failed" == sent[-1]["type"]
    assert {
        "message": "No answer. Wait.",
        "type": "server_error",
        "param": None,
        "code": "upstream_unreachable",
        "hint": "Wait.",
        "request_id": "req-1",
    } == sent[-1]["response"]["error"]
    assert [*range(len(sent))] == [one["sequence_number"] for one in sent]
    assert (["message"] if before else []) == [
        item["type"] for item in sent[-1]["response"]["output"]
    ]
    for one in sent[:-1]:
        check_event(one)


def test_a_failure_without_a_code_gets_one() -> None:
    """OpenAI's schema requires an error code."""
    error = BrokenResponse("No.")
    error.code = None

    sent = ChatToResponses(request(), MODEL).fail(error, "req-1")

    assert "server_error" == sent[-1]["response"]["error"]["code"]


@pytest.mark.parametrize("now", [None, NOW])
def test_times_are_whole_seconds(now: int | None) -> None:
    """Start and end times are present, and in order."""
    writer = ChatToResponses(request(), MODEL, now=now)
    for chunk in chunks(event("stop")):
        writer.feed(chunk)
    writer.close()

    assert writer.response["created_at"] <= writer.response["completed_at"]
    assert isinstance(writer.response["completed_at"], int)
