"""Chat chunks become events of a Messages stream, or one message."""

from typing import Any

import pytest

from copilot_proxy.errors import BrokenResponse
from copilot_proxy.formats.chat_completions.stream_repair import ChatRepair
from copilot_proxy.formats.messages.stream_from_chat import ChatToMessages
from copilot_proxy.formats.types import ChatChunk, Json, Message, MessagesEvent, MessagesRequest
from tests.conftest import recorded_events, recorded_json
from tests.formats.answers import call, event
from tests.formats.messages.samples import check_order, read_stream, read_whole, request, text, use

THINKING = request(thinking={"type": "adaptive"})
MODEL = "gpt-5.2"
USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 7,
    "prompt_tokens_details": {"cached_tokens": 60, "cache_creation_input_tokens": 30},
}
COUNTED = {
    "input_tokens": 10,
    "cache_creation_input_tokens": 30,
    "cache_read_input_tokens": 60,
    "output_tokens": 7,
}
ZERO = dict.fromkeys(COUNTED, 0)


def chunk(finish: str | None = None, *, index: int = 0, **delta: Any) -> ChatChunk:
    """Return a chunk in the format that `ChatRepair` returns."""
    return {"choices": [{"index": index, "delta": delta, "finish_reason": finish}], "usage": None}


def called(index: int, arguments: str, id: str | None = None, name: str = "f") -> ChatChunk:
    """Return a chunk with part of a call; the first part has an id."""
    piece: Json = {"index": index, "function": {"arguments": arguments}}
    if id is not None:
        piece = {**piece, "id": id, "type": "function"}
        piece["function"]["name"] = name
    return chunk(tool_calls=[piece])


ROLE = chunk(role="assistant", content="")
LAST: Json = {"choices": [], "usage": USAGE, "copilot_usage": {"total_nano_aiu": 5}}


def written(
    chunks: list[ChatChunk], sent: MessagesRequest | None = None, *, exact: bool = True
) -> tuple[list[MessagesEvent], Message]:
    """Return the events and the message, after the SDK has read both.

    With `exact`, the SDK must read the same blocks from both.
    """
    writer = ChatToMessages(sent or THINKING, MODEL)
    events = [event for one in chunks for event in writer.feed(one)] + writer.close()
    check_order(events)
    message = writer.whole(events)
    streamed, whole = read_stream(events), read_whole(message)
    assert streamed.stop_reason == whole.stop_reason
    if exact:
        assert [block.to_dict() for block in whole.content] == [
            {name: v for name, v in block.to_dict().items() if name != "parsed_output"}
            for block in streamed.content
        ]
    return events, message


def test_the_events_of_a_response() -> None:
    """Thinking, text and a call become consecutive blocks in Anthropic's events."""
    events, message = written(
        [
            ROLE,
            chunk(reasoning_content="Hm."),
            chunk(reasoning_opaque="responses:gA"),
            chunk(content="Hel"),
            chunk(content="lo"),
            called(0, "", "call_1"),
            called(0, '{"a":1}'),
            chunk("tool_calls"),
            LAST,
        ]
    )

    id = message["id"]
    assert id.startswith("msg_")
    thinking = {"type": "thinking", "thinking": "", "signature": ""}
    assert [
        {
            "type": "message_start",
            "message": {
                "id": id,
                "type": "message",
                "role": "assistant",
                "model": MODEL,
                "content": [],
                "stop_reason": None,
                "stop_sequence": None,
                "usage": ZERO,
            },
        },
        {"type": "content_block_start", "index": 0, "content_block": thinking},
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "thinking_delta", "thinking": "Hm."},
        },
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "signature_delta", "signature": "responses:gA"},
        },
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": text("")},
        {
            "type": "content_block_delta",
            "index": 1,
            "delta": {"type": "text_delta", "text": "Hel"},
        },
        {
            "type": "content_block_delta",
            "index": 1,
            "delta": {"type": "text_delta", "text": "lo"},
        },
        {"type": "content_block_stop", "index": 1},
        {"type": "content_block_start", "index": 2, "content_block": use("call_1")},
        {
            "type": "content_block_delta",
            "index": 2,
            "delta": {"type": "input_json_delta", "partial_json": '{"a":1}'},
        },
        {"type": "content_block_stop", "index": 2},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "tool_use", "stop_sequence": None},
            "usage": COUNTED,
            "copilot_usage": {"total_nano_aiu": 5},
        },
        {"type": "message_stop"},
    ] == events
    assert {
        "id": id,
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": [
            {"type": "thinking", "thinking": "Hm.", "signature": "responses:gA"},
            text("Hello"),
            use("call_1", input={"a": 1}),
        ],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": COUNTED,
        "copilot_usage": {"total_nano_aiu": 5},
    } == message


def test_chunks_are_sent_at_once() -> None:
    """Each part of the response is sent immediately, unless an earlier block is incomplete."""
    writer = ChatToMessages(request(), MODEL)
    writer.feed(ROLE)

    counts = [
        len(writer.feed(one))
        for one in (chunk(content="a"), chunk(content="b"), called(0, "{", "c"), called(0, "}"))
    ]

    assert [2, 1, 3, 1] == counts


@pytest.mark.parametrize(
    ("finish", "expected"),
    [
        ("stop", "end_turn"),
        ("length", "max_tokens"),
        ("tool_calls", "tool_use"),
        ("content_filter", "refusal"),
        ("function_call", "tool_use"),
        ("odd", "end_turn"),
    ],
)
def test_stop_reasons(finish: str, expected: str) -> None:
    """Each finish reason becomes one of Claude's stop reasons; missing usage becomes zeros."""
    _, message = written([ROLE, chunk(finish)])

    assert (expected, [], ZERO) == (message["stop_reason"], message["content"], message["usage"])


@pytest.mark.parametrize(("finish", "expected"), [("stop", "refusal"), ("length", "max_tokens")])
def test_a_refusal(finish: str, expected: str) -> None:
    """A refusal becomes text, and the stop reason is `refusal`."""
    _, message = written([ROLE, chunk(refusal="I "), chunk(refusal="won't."), chunk(finish)])

    assert ([text("I won't.")], expected) == (message["content"], message["stop_reason"])


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        pytest.param(
            [called(0, "{}", "a"), called(1, '{"x":2}', "b", "g"), chunk(content="c")],
            [use("a"), use("b", "g", {"x": 2}), text("c")],
            id="one after the other",
        ),
        pytest.param(
            [
                called(0, '{"x"', "a"),
                called(1, '{"x"', "b"),
                chunk(content="c"),
                called(1, ":2}"),
                chunk(reasoning_content="d"),
                called(0, ":1}"),
                called(0, "\n"),
            ],
            [
                use("a", input={"x": 1}),
                use("b", input={"x": 2}),
                text("c"),
                {"type": "thinking", "thinking": "d", "signature": ""},
            ],
            id="alternating",
        ),
        pytest.param(
            [called(0, "", "a"), called(1, "", "b"), called(0, "{}"), called(1, "{}")],
            [use("a"), use("b")],
            id="arguments at the end",
        ),
        pytest.param(
            [called(0, "", "a"), called(1, "{}", "b")], [use("a"), use("b")], id="no arguments"
        ),
        pytest.param([called(0, "null", "a")], [use("a")], id="null"),
        pytest.param(
            [called(0, "[1]", "a"), called(1, '{"x', "b")],
            [use("a", input={"INVALID_JSON": "[1]"}), use("b", input={"INVALID_JSON": '{"x'})],
            id="not an object",
        ),
    ],
)
def test_calls(chunks: list[Json], expected: list[Json]) -> None:
    """Calls keep their order, ids and arguments, even if their parts are interleaved."""
    objects = all(one.get("input") != {} for one in expected) or "null" not in str(chunks)
    exact = objects and "INVALID_JSON" not in str(expected)

    _, message = written([ROLE, *chunks, chunk("tool_calls")], exact=exact)

    assert expected == message["content"]


def thought(thinking: str, signature: str) -> Json:
    return {"type": "thinking", "thinking": thinking, "signature": signature}


@pytest.mark.parametrize(
    ("chunks", "shown", "hidden"),
    [
        pytest.param([chunk(reasoning_content="a")], [thought("a", "")], [], id="not encrypted"),
        pytest.param(
            [chunk(reasoning_content="a", reasoning_opaque="x"), chunk(content="b")],
            [thought("a", "chat:x"), text("b")],
            [text("b")],
            id="no tag",
        ),
        pytest.param(
            [
                chunk(reasoning_content="a"),
                chunk(reasoning_opaque="responses:x"),
                chunk(reasoning_content="b"),
                chunk(reasoning_opaque=" y"),
                called(0, "{}", "c"),
            ],
            [thought("ab", "responses:x y"), use("c")],
            [thought("", "responses:x y"), use("c")],
            id="several items",
        ),
        pytest.param(
            [
                chunk(reasoning_opaque="responses:x"),
                chunk(content="a"),
                chunk(reasoning_opaque=" y"),
                called(0, "{}", "c"),
            ],
            [thought("", "responses:x"), text("a"), thought("", "responses:y"), use("c")],
            [text("a"), thought("", "responses:x y"), use("c")],
            id="several items, with text between",
        ),
        pytest.param(
            [chunk(reasoning_content="a"), chunk(content="b"), chunk(reasoning_opaque="x")],
            [thought("a", ""), text("b")],
            [text("b")],
            id="after the text, without a call",
        ),
        pytest.param(
            [chunk(content="b"), chunk(reasoning_opaque="x"), called(0, "{}", "c")],
            [text("b"), thought("", "chat:x"), use("c")],
            [text("b"), thought("", "chat:x"), use("c")],
            id="after the text, before a call",
        ),
        pytest.param(
            [called(0, "{}", "c"), chunk(reasoning_opaque="x"), called(1, "{}", "d")],
            [use("c"), thought("", "chat:x"), use("d")],
            [use("c"), thought("", "chat:x"), use("d")],
            id="after a call",
        ),
        pytest.param(
            [called(0, "{}", "c"), chunk(reasoning_opaque=" x")],
            [use("c"), thought("", "chat: x")],
            [use("c"), thought("", "chat: x")],
            id="after all calls",
        ),
    ],
)
def test_thinking_is_only_sent_to_clients_that_turned_it_on(
    chunks: list[Json], shown: list[Json], hidden: list[Json]
) -> None:
    """Clients without thinking get only the encrypted reasoning that tool results need."""
    finish = chunk("stop")

    assert shown == written([ROLE, *chunks, finish])[1]["content"]
    assert hidden == written([ROLE, *chunks, finish], request())[1]["content"]


@pytest.mark.parametrize("chunks", [[], [ROLE], [ROLE, chunk(content="a"), LAST]])
def test_a_response_without_a_finish_is_broken(chunks: list[Json]) -> None:
    """A response that did not finish is not marked as complete."""
    writer = ChatToMessages(request(), MODEL)
    for one in chunks:
        writer.feed(one)

    with pytest.raises(BrokenResponse):
        writer.close()


def test_an_error_is_an_event() -> None:
    """A broken stream ends with Anthropic's error event."""
    writer = ChatToMessages(request(), MODEL)
    writer.feed(ROLE)

    assert [
        {
            "type": "error",
            "error": {
                "type": "api_error",
                "message": "Cut. Wait.",
                "hint": "Wait.",
                "code": "upstream_broken",
            },
            "request_id": "req_1",
        }
    ] == writer.fail(BrokenResponse("Cut.", hint="Wait."), "1")


def repaired(events: list[Any]) -> list[ChatChunk]:
    stream = ChatRepair(MODEL, include_usage=True, now=1)
    return [one for data in events for one in stream.feed(data)] + stream.close()


@pytest.mark.parametrize("name", ["plain-text", "tool-call", "gemini-reasoning-tool-call"])
def test_recorded_streams_are_translated(name: str) -> None:
    """Recorded streams from Copilot's models arrive complete at an Anthropic client."""
    chunks = repaired(recorded_events(f"{name}.sse"))
    _, message = written(chunks)

    deltas = [choice["delta"] for one in chunks for choice in one["choices"]]
    content = "".join(delta.get("content") or "" for delta in deltas)
    names = [c["function"]["name"] for d in deltas for c in d.get("tool_calls", ()) if "id" in c]
    assert content == "".join(b["text"] for b in message["content"] if b["type"] == "text")
    assert names == [b["name"] for b in message["content"] if b["type"] == "tool_use"]


def test_a_recorded_response_is_translated() -> None:
    """A whole response that Copilot split into several choices becomes one message."""
    response = recorded_json("openai-chat-completions/claude-split-choices-response.json")
    _, message = written(repaired([response]))

    assert ["text", "tool_use"] == [block["type"] for block in message["content"]]


def test_repaired_calls_are_translated() -> None:
    """Calls to which Copilot gave the same index stay separate."""
    events = [
        event(content=None, tool_calls=[call("a", "f", '{"x"')]),
        event(content=None, tool_calls=[call("b", "g", "{}")]),
        event("stop"),
    ]

    _, message = written(
        repaired([events[0], event(tool_calls=[call(None, None, ":1}")]), *events[1:]])
    )

    assert [use("a", "f", {"x": 1}), use("b", "g")] == message["content"]
