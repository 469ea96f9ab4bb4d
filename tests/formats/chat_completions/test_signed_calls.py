"""Gemini's signatures on tool calls come back to Gemini, in every form that Copilot sends."""

from typing import Any

import pytest

from copilot_proxy.catalogue import parse_models
from copilot_proxy.formats.chat_completions.request_to_model import chat_for_model
from copilot_proxy.formats.types import Json
from tests.formats.answers import MODEL, call, calling, complete, event

GEMINI = parse_models([{"id": "gemini-4", "vendor": "Google"}]).get("gemini-4")
USER: Json = {"role": "user", "content": "Read both."}
CUSTOM = [{"type": "custom", "custom": {"name": "f"}}]


def signed(signature: str | None, *fragment: Any, **fields: Any) -> Json:
    """Return a fragment of a call with a signature in its function."""
    made = call(*fragment, **fields)
    if signature is not None:
        made["function"]["thought_signature"] = signature
    return made


def sent_back(events: list[Any]) -> tuple[Json, list[str]]:
    """Return the message with the calls of an answer as Gemini gets it, and the notes."""
    message = complete(events)["choices"][0]["message"]
    results = [
        {"role": "tool", "tool_call_id": one["id"], "content": "ok"}
        for one in message["tool_calls"]
    ]
    notes: list[str] = []
    chat = {"model": MODEL, "messages": [USER, message, *results]}
    body = chat_for_model(chat, GEMINI, notes).body
    return body["messages"][1], notes


@pytest.mark.parametrize(
    ("events", "opaque", "signatures"),
    [
        pytest.param(
            [calling(signed("S", "a", "f", "{}"))], None, ["S"], id="a whole call"
        ),
        pytest.param(
            [calling(signed("S", "a", "f")), calling(call(arguments="{}"))],
            None, ["S"], id="the first fragment",
        ),
        pytest.param(
            [calling(signed("S", "a", "f", "{}"), signed("T", "b", "f", "{}", index=1))],
            None, ["S", None], id="every call",
        ),
        pytest.param(
            [calling(signed("S", "a", "f", "{}")), event(reasoning_opaque="o")],
            None, ["S"], id="the call, then the message",
        ),
        pytest.param(
            [event(reasoning_opaque="o"), calling(signed("S", "a", "f", "{}"))],
            "o", [None], id="the message, then the call",
        ),
        pytest.param(
            [event(reasoning_opaque="o", tool_calls=[signed("S", "a", "f", "{}")])],
            "o", [None], id="both at once",
        ),
    ],
)  # fmt: skip
def test_a_signature_comes_back_where_it_was(
    events: list[Any], opaque: str | None, signatures: list[str | None]
) -> None:
    """Gemini's own calls stay calls, signed as they were; the signature is sent once."""
    message, notes = sent_back([*events, event("tool_calls")])

    assert "tool_calls" in message
    called = [one["function"] for one in message["tool_calls"]]
    assert signatures == [function.get("thought_signature") for function in called]
    assert opaque == message.get("reasoning_opaque")
    assert not notes


def test_a_signed_call_to_a_custom_tool() -> None:
    """The function that stands for a custom tool is signed, too."""
    custom = {"name": "f", "input": "x"}
    calls = [{"id": "a", "type": "custom", "custom": custom}]
    message = {"role": "assistant", "tool_calls": calls, "reasoning_opaque": "thought_signature:S"}
    result = {"role": "tool", "tool_call_id": "a", "content": "ok"}
    chat = {"model": MODEL, "messages": [USER, message, result], "tools": CUSTOM}

    body = chat_for_model(chat, GEMINI, []).body

    assert {"name": "f", "arguments": '{"input":"x"}', "thought_signature": "S"} == (
        body["messages"][1]["tool_calls"][0]["function"]
    )
    assert {"name": "f", "input": "x"} == custom
