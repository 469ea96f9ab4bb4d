"""Chat chunks translated to Gemini stream events."""

import json
from typing import Any

import pytest

from copilot_proxy.errors import BrokenResponse
from copilot_proxy.formats.gemini.request import parse_call
from copilot_proxy.formats.gemini.stream_from_chat import ChatToGemini
from copilot_proxy.formats.gemini.thought_signatures import Reasoning, unseal
from copilot_proxy.formats.types import ClientEvent, Json

THOUGHTS: Json = {"thinkingConfig": {"includeThoughts": True}}


def translated(*deltas: Json, finish: str | None = "stop", **config: Any) -> list[ClientEvent]:
    """Return the events for chunks with these deltas and a finish reason."""
    body = {"contents": "Hi", "generationConfig": config}
    writer = ChatToGemini(parse_call(json.dumps(body).encode(), "models/m", stream=True))
    events: list[ClientEvent] = []
    for delta in (*deltas, {}):
        reason = finish if delta == {} else None
        events += writer.feed({"choices": [{"delta": delta, "finish_reason": reason}]})
    return [*events, *writer.close()]


def parts(*deltas: Json, **more: Any) -> list[Json]:
    events = translated(*deltas, **more)
    return [part for event in events for part in event["candidates"][0]["content"]["parts"]]


def call(index: int, arguments: str, *, start: bool = True) -> Json:
    function = {"arguments": arguments} | ({"name": f"f{index}"} if start else {})
    return {"index": index, "function": function} | ({"id": f"c{index}"} if start else {})


def test_calls_in_pieces() -> None:
    """Calls are complete and in order, even if their arguments are interleaved."""
    deltas: list[Json] = [
        {"tool_calls": [call(0, '{"a":')]},
        {"tool_calls": [call(1, "")]},
        {"tool_calls": [call(0, " 1}", start=False), call(1, "{}", start=False)]},
    ]

    assert [
        {"functionCall": {"id": "c0", "name": "f0", "args": {"a": 1}}},
        {"functionCall": {"id": "c1", "name": "f1", "args": {}}},
    ] == parts(*deltas, finish="tool_calls")


@pytest.mark.parametrize(
    ("arguments", "finish", "expected"),
    [
        ('{"a": ', "length", "MAX_TOKENS"),
        ('{"a": ', "tool_calls", "MALFORMED_FUNCTION_CALL"),
        ("[1]", "tool_calls", "MALFORMED_FUNCTION_CALL"),
    ],
)
def test_a_call_that_is_not_complete(arguments: str, finish: str, expected: str) -> None:
    """An incomplete call is left out, and the finish reason says why."""
    (event,) = translated({"tool_calls": [call(0, arguments)]}, finish=finish)

    (candidate,) = event["candidates"]
    assert expected == candidate["finishReason"]
    assert [{"text": ""}] == candidate["content"]["parts"]


def test_thoughts_and_their_signature() -> None:
    """Clients that request thoughts get them, with the signature at the end or on the first call.

    The signature also contains the text, since clients drop the parts with thoughts.
    """
    thinking: Json = {"reasoning_content": "Hm. ", "reasoning_opaque": "messages:AAAA"}
    more = {"reasoning_content": "Well.", "reasoning_opaque": " 4:BBBB"}
    first, second, text, last = parts(thinking, more, {"content": "Hi"}, **THOUGHTS)
    *_, called = parts(thinking, more, {"tool_calls": [call(0, "{}")]}, **THOUGHTS)

    assert [{"text": "Hm. ", "thought": True}, {"text": "Well.", "thought": True}] == [
        first,
        second,
    ]
    assert ({"text": "Hi"}, "") == (text, last["text"])
    expected = Reasoning("Hm. Well.", "messages:AAAA 4:BBBB")
    assert expected == unseal(last["thoughtSignature"]) == unseal(called["thoughtSignature"])


def test_hidden_thoughts() -> None:
    """Only a call carries the signature, since the model needs it along with the result."""
    thinking: Json = {"reasoning_content": "Hm.", "reasoning_opaque": "opaque"}
    (called,) = parts(thinking, {"tool_calls": [call(0, "{}")]}, finish="tool_calls")

    assert [{"text": "Hi"}, {"text": ""}] == parts(thinking, {"content": "Hi"})
    assert Reasoning("Hm.", "opaque") == unseal(called["thoughtSignature"])


@pytest.mark.parametrize(
    ("finish", "expected"),
    [("stop", "STOP"), ("length", "MAX_TOKENS"), ("content_filter", "SAFETY"), ("odd", "OTHER")],
)
def test_finishes(finish: str, expected: str) -> None:
    """The last event has the finish reason; the text of a refusal comes before it."""
    *_, last = translated({"content": "Hi"}, finish=finish)
    words, refused = translated({"refusal": "I will not."}, finish=finish)

    assert expected == last["candidates"][0]["finishReason"]
    assert [{"text": "I will not."}] == words["candidates"][0]["content"]["parts"]
    assert (refused["candidates"][0]["finishReason"] == "SAFETY") == (
        finish in ("stop", "content_filter")
    )


def test_an_answer_that_breaks_off() -> None:
    """A response without a finish reason is an error."""
    with pytest.raises(BrokenResponse):
        translated({"content": "Hi"}, finish=None)


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        (['{"val', 'ue": [1, ', "2]}"], "[1,2]"),
        (['{"value": "a"}'], '"a"'),
        (['{"value": [1, '], '{"value": [1, '),
        (["Sorry"], "Sorry"),
    ],
)
def test_a_wrapped_answer(pieces: list[str], expected: str) -> None:
    """Output that had to be wrapped in an object is unwrapped if possible, otherwise unchanged."""
    config = {"responseMimeType": "application/json", "responseSchema": {"type": "ARRAY"}}
    (part,) = parts(*({"content": piece} for piece in pieces), **config)

    assert expected == part["text"]
