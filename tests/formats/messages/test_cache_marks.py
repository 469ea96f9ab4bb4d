"""Prompt cache marks are reduced to the form and the number that Copilot accepts."""

from typing import Any

import pytest

from copilot_proxy.formats.messages.betas import select_betas
from copilot_proxy.formats.messages.request_to_model import messages_for_model
from copilot_proxy.formats.types import Json
from tests.formats.messages.samples import (
    EPHEMERAL,
    TOOL,
    assistant,
    check_with_simulator,
    request,
    result,
    simulated,
    text,
    use,
    user,
)

MODEL = simulated("claude-sonnet-4.5")
OLD = simulated("claude-sonnet-4")
HOUR: Json = {"cache_control": {"type": "ephemeral", "ttl": "1h", "scope": "global"}}
HOUR_ALONE: Json = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
MINUTES: Json = {"cache_control": {"type": "ephemeral", "ttl": "5m"}}
REDUCED = "removed scope, ttl 1h from cache_control: not supported by Copilot in this API"
NO_SCOPE = "removed scope from cache_control: not supported by Copilot in this API"
TOO_MANY = "dropped cache_control from some blocks: Copilot allows at most 4"


def test_marks_are_reduced_to_what_copilot_accepts() -> None:
    """A mark stays on its block, and loses the fields that Copilot rejects."""
    notes: list[str] = []
    sent = request(
        user("Hi"),
        assistant(use()),
        user(result(content=[text("x", **HOUR)])),
        tools=[{**TOOL, **HOUR}],
        system=[text("Be brief.", cache_control=None), text("Be kind.", **EPHEMERAL)],
    )

    body = messages_for_model(sent, OLD, notes).body

    check_with_simulator(body)
    assert [{**TOOL, **EPHEMERAL}] == body["tools"]
    assert [text("Be brief."), text("Be kind.", **EPHEMERAL)] == body["system"]
    assert user(result(content=[text("x", **EPHEMERAL)])) == body["messages"][2]
    assert [REDUCED] == notes


def marked(count: int, words: str) -> list[Json]:
    return [text(f"{words}{i}", **EPHEMERAL) for i in range(count)]


@pytest.mark.parametrize(
    ("tools", "system", "messages", "expected"),
    [
        (1, 1, 2, "t0 s0 m0 m1"),
        (2, 2, 3, "t1 s1 m1 m2"),
        (0, 0, 6, "m2 m3 m4 m5"),
        (0, 2, 5, "s1 m2 m3 m4"),
        (3, 0, 1, "t0 t1 t2 m0"),
        (0, 6, 0, "s2 s3 s4 s5"),
        (3, 3, 0, "t2 s0 s1 s2"),
        (1, 4, 1, "t0 s2 s3 m0"),
    ],
)
def test_the_most_useful_marks_are_kept(
    tools: int, system: int, messages: int, expected: str
) -> None:
    """Only four marks are kept: those that cover the most tokens for the most requests."""
    notes: list[str] = []
    sent = request(
        user(text("Hi"), *marked(messages, "m")),
        tools=[{**TOOL, "name": f"t{i}", **EPHEMERAL} for i in range(tools)],
        system=marked(system, "s"),
    )

    body = messages_for_model(sent, MODEL, notes).body

    check_with_simulator(body)
    blocks: list[Any] = [*body.get("tools", []), *body.get("system", [])]
    blocks += body["messages"][0]["content"]
    kept = [block.get("name") or block["text"] for block in blocks if "cache_control" in block]
    assert expected.split() == kept
    assert ([TOO_MANY] if tools + system + messages > 4 else []) == notes


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        (user("Hi"), user(text("Hi", **HOUR_ALONE))),
        (user(text("a"), text("b")), user(text("a"), text("b", **HOUR_ALONE))),
    ],
)
def test_a_mark_on_the_request_is_put_on_its_last_block(last: Json, expected: Json) -> None:
    """A mark on the request itself, which covers the whole prompt, is moved to the last block."""
    notes: list[str] = []

    body = messages_for_model(request(last, **HOUR), MODEL, notes).body

    check_with_simulator(body, betas=select_betas([], body)[0])
    assert ([expected], [NO_SCOPE]) == (body["messages"], notes)


@pytest.mark.parametrize(
    ("mark", "expected", "notes"),
    [
        (HOUR_ALONE, HOUR_ALONE, []),
        (HOUR, HOUR_ALONE, [NO_SCOPE]),
        (MINUTES, EPHEMERAL, []),
    ],
)
def test_a_mark_may_ask_for_one_hour(mark: Json, expected: Json, notes: list[str]) -> None:
    """A lifetime of one hour is kept for Claude 4.5 and later; others have the default."""
    noted: list[str] = []
    sent = request(user(text("Hi", **mark)), tools=[{**TOOL, **mark}])

    body = messages_for_model(sent, MODEL, noted).body

    assert [{**TOOL, **expected}] == body["tools"]
    assert [user(text("Hi", **expected))] == body["messages"]
    assert notes == noted
