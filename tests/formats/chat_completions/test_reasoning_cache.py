"""Reasoning that clients do not carry is given back to the model it came from."""

from typing import Any

import pytest

from copilot_proxy.formats.chat_completions.reasoning_cache import ReasoningCache, ReasoningRecorder

Json = dict[str, Any]


def chunk(**delta: Any) -> Json:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}


def call(name: str, id: str = "a") -> Json:
    return {
        "index": 0,
        "id": id,
        "type": "function",
        "function": {"name": name, "arguments": "{}"},
    }


def heard(memory: ReasoningCache, model: str = "gemini") -> None:
    listener = ReasoningRecorder(memory, model)
    for delta in (
        {"reasoning_content": "Let me "},
        {"reasoning_content": "see."},
        {"reasoning_opaque": "sealed"},
        {"tool_calls": [call("f", "one"), {"index": 0, "function": {"arguments": "{"}}]},
    ):
        listener.hear(chunk(**delta))
    listener.hear({"choices": [{"delta": {}, "finish_reason": "tool_calls"}]})
    listener.hear({"choices": [], "usage": {}})


def asked(**more: Any) -> Json:
    return {"role": "assistant", "content": None, "tool_calls": [call("f", "one")], **more}


def test_lost_reasoning_is_recalled() -> None:
    """The next turn has what the model needs, though the client did not send it."""
    memory = ReasoningCache()
    heard(memory)
    user = {"role": "user", "content": "x"}

    assert [
        user,
        asked(reasoning_opaque="sealed", reasoning_content="Let me see."),
    ] == memory.recall("gemini", [user, asked()])


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("other", asked()),
        ("gemini", asked(reasoning_opaque="own")),
        ("gemini", {"role": "assistant", "content": "x"}),
        ("gemini", {"role": "assistant", "tool_calls": [call("f", "another")]}),
    ],
)
def test_nothing_else_is_recalled(model: str, message: Json) -> None:
    """Not for another model, not over what the client sent, not for other calls."""
    memory = ReasoningCache()
    heard(memory)

    assert [message] == memory.recall(model, [message])


def test_recollection_is_bounded() -> None:
    """Old calls are forgotten, by number and by size, and what is too large is not kept."""
    few = ReasoningCache(calls=2)
    small = ReasoningCache(characters=10)
    for memory in (few, small):
        for id in ("one", "two", "three"):
            memory.keep("m", [id], "think", "12345")
        memory.keep("m", ["four"], "", "x" * 11)
        memory.keep("m", ["five"], "thought", "")
        memory.keep("m", [], "thought", "sealed")

    def known(memory: ReasoningCache) -> list[str]:
        calls = ("one", "two", "three", "four", "five")
        messages = [{"role": "assistant", "tool_calls": [call("f", id)]} for id in calls]
        recalled = memory.recall("m", messages)
        return [m["tool_calls"][0]["id"] for m in recalled if "reasoning_opaque" in m]

    assert ["three", "four"] == known(few)
    assert ["three"] == known(small)


def test_reasoning_without_text_is_recalled_without_text() -> None:
    """Only what there was comes back."""
    memory = ReasoningCache()
    memory.keep("m", ["one"], "", "sealed")

    assert [asked(reasoning_opaque="sealed")] == memory.recall("m", [asked()])


def test_seals_of_other_vendors_are_not_sent() -> None:
    """Reasoning that one vendor's model sealed means nothing to another's."""
    memory = ReasoningCache(calls=2)
    listener = ReasoningRecorder(memory, "gemini", "Google")
    listener.hear(chunk(reasoning_opaque="sea"))
    listener.hear(chunk(reasoning_opaque="led"))
    listener.hear({"choices": [{"delta": {}, "finish_reason": "stop"}]})
    message = {"role": "assistant", "content": "x", "reasoning_opaque": "sealed"}
    bare = {"role": "assistant", "content": "x"}

    assert [message] == memory.recall("gemini-2", [message], "Google")
    assert [bare] == memory.recall("claude", [message], "Anthropic")
    assert [message] == memory.recall("unknown", [message])
    for other in ("1", "2"):
        memory.note_seal(other, "Google")
    assert [message] == memory.recall("claude", [message], "Anthropic")
