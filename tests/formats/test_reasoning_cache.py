"""Reasoning that clients do not send back is cached for them."""

from typing import Any

import pytest

from copilot_proxy.formats.reasoning_cache import ReasoningCache, ReasoningRecorder
from copilot_proxy.formats.types import Json


def call(name: str, id: str) -> Json:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": "{}"}}


def remember(memory: ReasoningCache, model: str = "gemini") -> None:
    recorder = ReasoningRecorder(memory, b"", model)
    for delta in (
        {"reasoning_content": "Let me "},
        {"reasoning_content": "see."},
        {"reasoning_opaque": "sealed"},
        {"tool_calls": [call("f", "one"), {"index": 0, "function": {"arguments": "{"}}]},
    ):
        recorder.record(delta, None)
    recorder.record({}, "tool_calls")


def assistant(**more: Any) -> Json:
    return {"role": "assistant", "content": None, "tool_calls": [call("f", "one")], **more}


def test_missing_reasoning_is_restored() -> None:
    """The next request receives the reasoning that the client did not send."""
    memory = ReasoningCache()
    remember(memory)
    user = {"role": "user", "content": "x"}

    assert [
        user,
        assistant(reasoning_opaque="sealed", reasoning_content="Let me see."),
    ] == memory.restore(b"", "gemini", [user, assistant()])


def test_missing_text_is_restored() -> None:
    """A client that has only the encrypted reasoning still lets the model read its own text."""
    memory = ReasoningCache()
    remember(memory)

    assert [
        assistant(reasoning_opaque="sealed", reasoning_content="Let me see.")
    ] == memory.restore(b"", "gemini", [assistant(reasoning_opaque="sealed")])


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("other", assistant()),
        ("other", assistant(reasoning_opaque="sealed")),
        ("gemini", assistant(reasoning_opaque="own")),
        ("gemini", assistant(reasoning_opaque="sealed", reasoning_content="Mine.")),
        ("gemini", assistant(reasoning_opaque="sealed", reasoning_text="Mine.")),
        ("gemini", {"role": "assistant", "content": "x"}),
        ("gemini", {"role": "assistant", "tool_calls": [call("f", "another")]}),
    ],
)
def test_nothing_else_is_restored(model: str, message: Json) -> None:
    """Reasoning is not restored for other models or calls, and never replaces what was sent."""
    memory = ReasoningCache()
    remember(memory)

    assert [message] == memory.restore(b"", model, [message])


def test_the_cache_is_bounded() -> None:
    """The number and total size of entries are limited, and large entries are rejected."""
    few = ReasoningCache(calls=2)
    small = ReasoningCache(characters=10)
    for memory in (few, small):
        for id in ("one", "two", "three"):
            memory.store(b"", "m", [id], "think", "12345")
        memory.store(b"", "m", ["four"], "", "x" * 11)
        memory.store(b"", "m", ["five"], "thought", "")
        memory.store(b"", "m", [], "thought", "sealed")

    def known(memory: ReasoningCache) -> list[str]:
        calls = ("one", "two", "three", "four", "five")
        messages = [{"role": "assistant", "tool_calls": [call("f", id)]} for id in calls]
        recalled = memory.restore(b"", "m", messages)
        return [m["tool_calls"][0]["id"] for m in recalled if "reasoning_opaque" in m]

    assert ["three", "four"] == known(few)
    assert ["three"] == known(small)


def test_prompts_rarely_change_when_the_cache_is_full() -> None:
    """If a conversation has more calls than the cache can hold, its start rarely changes."""
    memory = ReasoningCache(calls=40)
    messages: list[Json] = []
    before: list[Json] = []
    changes = 0
    for number in range(100):
        memory.store(b"", "m", [f"c{number}"], "", "sealed")
        messages.append({"role": "assistant", "tool_calls": [call("f", f"c{number}")]})
        restored = memory.restore(b"", "m", messages)
        changes += restored[: len(before)] != before
        before = restored

    assert 40 >= sum("reasoning_opaque" in message for message in before) >= 30
    assert changes <= 7


def test_only_existing_fields_are_restored() -> None:
    """Only the reasoning fields that the response had are restored."""
    memory = ReasoningCache()
    memory.store(b"", "m", ["one"], "", "sealed")

    assert [assistant(reasoning_opaque="sealed")] == memory.restore(b"", "m", [assistant()])


def test_encrypted_reasoning_of_other_vendors_is_not_sent() -> None:
    """Reasoning that another vendor's model encrypted is removed."""
    memory = ReasoningCache(calls=2)
    recorder = ReasoningRecorder(memory, b"", "gemini", "Google")
    recorder.record({"reasoning_opaque": "sea"}, None)
    recorder.record({"reasoning_opaque": "led"}, None)
    recorder.record({}, "stop")
    message = {"role": "assistant", "content": "x", "reasoning_opaque": "sealed"}
    bare = {"role": "assistant", "content": "x"}

    assert [message] == memory.restore(b"", "gemini-2", [message], "Google")
    assert [bare] == memory.restore(b"", "claude", [message], "Anthropic")
    assert [message] == memory.restore(b"", "unknown", [message])
    for other in ("1", "2"):
        memory.store_vendor(other, "Google")
    assert [message] == memory.restore(b"", "claude", [message], "Anthropic")


def test_callers_do_not_share_reasoning() -> None:
    """Callers with the same call id get only their own reasoning, and a third caller gets none."""
    memory = ReasoningCache()
    memory.store(b"a", "m", ["one"], "", "of a")
    memory.store(b"b", "m", ["one"], "", "of b")

    restored = [memory.restore(caller, "m", [assistant()])[0] for caller in (b"a", b"b", b"c")]

    assert ["of a", "of b", None] == [one.get("reasoning_opaque") for one in restored]
