"""Long plain conversations are sent to Copilot like short ones, however they are read."""

import json
from typing import Any

import msgspec
import pytest

from copilot_proxy.catalogue import parse_models
from copilot_proxy.errors import RequestError
from copilot_proxy.formats.chat_completions import plain_messages
from copilot_proxy.formats.chat_completions.api import CHAT_COMPLETIONS
from copilot_proxy.formats.plain_turns import PlainTurns
from copilot_proxy.formats.prompt_blocks import blocks
from copilot_proxy.formats.reasoning_cache import ReasoningCache
from copilot_proxy.formats.token_estimate import request_tokens
from copilot_proxy.formats.translation import prepare
from copilot_proxy.simulator import catalogue

USER: Any = {"role": "user", "content": "Go on."}
PARTS: Any = {"role": "user", "content": [{"type": "text", "text": "a"}]}


def pair(id: str = "call_1", name: str = "read", arguments: str = "{}", **more: Any) -> list[Any]:
    """Return a call and its result."""
    call = {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}
    return [
        {"role": "assistant", "content": None, "tool_calls": [call], **more},
        {"role": "tool", "tool_call_id": id, "content": "1"},
    ]


CASES: dict[str, list[Any]] = {
    "plain": [{"role": "system", "content": "Be brief."}, USER, *pair(), *pair("call_2"), USER],
    "developer": [{"role": "developer", "content": "Be brief."}, USER],
    "blank": [{"role": "system", "content": " "}, USER],
    "empty": [USER, *pair(content=""), PARTS],
    "nothing": [USER, {"role": "assistant", "content": ""}, USER],
    "interrupted": [USER, pair()[0], USER],
    "swapped": [USER, *reversed(pair()), USER],
    "twice": [USER, *pair(), *pair(), USER],
    "id": [USER, *pair("call 1"), USER],
    "name": [USER, *pair(name="a b"), USER],
    "no JSON": [USER, *pair(arguments='{"a"'), USER],
    "no object": [USER, *pair(arguments="[1]"), USER],
    "no type": [{"role": "user", "content": [{"text": "a"}]}, USER],
    "reasoning": [USER, *pair(reasoning_opaque="responses:x", reasoning_text="x"), USER],
    "order": [
        *pair(),
        {"role": "assistant", "content": "a"},
        {"role": "assistant", "content": "b"},
    ],
    "unknown": [USER, *pair(mine=1), USER],
}
MODELS = [
    next(one for one in parse_models(catalogue.load("2026-11")) if one.vendor == vendor)
    for vendor in ("OpenAI", "Anthropic", "Google")
]


def sent(content: bytes) -> list[Any]:
    """Return what the models get, and what else depends on the conversation."""
    found: list[Any] = []
    for model in (None, *MODELS):
        try:
            request = CHAT_COMPLETIONS.parse(content)
            prepared = prepare(CHAT_COMPLETIONS, request, model, ReasoningCache())
        except RequestError as error:
            found.append((error.message, error.param))
            continue
        body = msgspec.json.decode(msgspec.json.encode(prepared.body))
        conversation = CHAT_COMPLETIONS.conversation(request)
        found += [prepared.api.name, body, prepared.notes, prepared.initiator, conversation]
        found += [blocks(prepared.api.name, prepared.body), request_tokens(request)]
    return found


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("tools", [True, False], ids=["tools", "no tools"])
def test_nothing_depends_on_how_it_is_read(
    case: str, tools: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every model gets the same messages, with the same notes, and every error is the same."""
    tool = {"type": "function", "function": {"name": "read", "parameters": {"type": "object"}}}
    body = {"model": "gpt-4o", "messages": CASES[case], **({"tools": [tool]} if tools else {})}
    content = json.dumps(body).encode()
    general = sent(content)
    monkeypatch.setattr(plain_messages, "MIN_SIZE", 0)

    assert general == sent(content)


def test_long_conversations_stay_small_objects() -> None:
    """What needs no change is not decoded into dictionaries."""
    long = [USER, *[turn for number in range(2000) for turn in pair(f"call_{number}")], USER]
    request = CHAT_COMPLETIONS.parse(json.dumps({"model": "gpt-4o", "messages": long}).encode())

    body = prepare(CHAT_COMPLETIONS, request, None, ReasoningCache()).body

    assert isinstance(body["messages"], PlainTurns)
    assert long == msgspec.json.decode(msgspec.json.encode(body["messages"]))
