"""Clients of every API meet the requirements of newer Claude models."""

import json
from typing import Any

import pytest

from copilot_proxy.formats.model_profiles import profile_of
from copilot_proxy.formats.pi_ai.request_to_model import pi_ai_from_chat
from copilot_proxy.formats.reasoning_cache import ReasoningCache
from copilot_proxy.formats.rules.thinking import CALL_ANY_TOOL
from copilot_proxy.formats.types import Json
from tests.formats.routes import (
    APIS,
    answer_of,
    claude,
    every_client,
    model_on,
    prepared,
    sent,
)
from tests.formats.rules.asking import assistant, user
from tests.formats.test_endings import START, STOP
from tests.selection import every_value

BINDING = "thinking-binding-controls-2026-08-01"
DROP_BLOCK = {"prefix_mismatch_behavior": "drop_block"}
SIGNATURE = "EqQBhidden=="
HIDDEN: Json = {"type": "thinking", "thinking": "", "signature": SIGNATURE}
USE: Json = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}


def thinking(client: str, id: str, *, betas: list[str] | None = None, **wish: Any) -> Any:
    """Return the thinking settings sent upstream for a request from `client`."""
    return sent(client, claude(id), betas=betas or [], **wish).body.get("thinking")


@every_client
@pytest.mark.parametrize("id", ["claude-haiku-5.5", "claude-sonnet-5.5", "claude-opus-4.8"])
def test_sampling_is_left_at_the_default(client: str, id: str) -> None:
    """Claude 4.7 and later receive no sampling except the default temperature."""
    request = sent(client, claude(id), temperature=0.5, top_p=0.5)
    default = sent(client, claude(id), temperature=1)

    assert {"temperature", "top_p"}.isdisjoint(request.body)
    assert 1 == default.body["temperature"]


@every_client
@pytest.mark.parametrize(
    "id", ["claude-opus-5.5", "claude-fable-5", "claude-fable-5.2", "claude-mythos-1"]
)
def test_thinking_that_cannot_be_turned_off_is_adaptive(client: str, id: str) -> None:
    """If thinking cannot be turned off, it is adaptive, whatever the client requests."""
    off = {"reasoning_effort": "none"}
    own = {
        "chat_completions": off,
        "responses": {"reasoning": {"effort": "none"}},
        "messages": {"thinking": {"type": "disabled"}},
    }

    assert "adaptive" == thinking(client, id)["type"]
    assert "adaptive" == thinking(client, id, own=own[client])["type"]


@every_client
def test_optional_thinking_is_not_enabled(client: str) -> None:
    """Without a request for thinking, a model thinks only if thinking cannot be turned off."""
    assert thinking(client, "claude-sonnet-5.5") is None
    assert thinking(client, "claude-sonnet-4.6") is None


SHOWING = [
    ("chat_completions", {"reasoning_effort": "high"}),
    ("chat_completions", {"thinking": {"type": "enabled", "budget_tokens": 2000}}),
    ("chat_completions", {"thinking": {"type": "adaptive"}}),
    ("chat_completions", {"thinking_budget": 2000}),
    ("responses", {"reasoning": {"effort": "high", "summary": "auto"}}),
    ("responses", {"reasoning": {"effort": "high", "summary": "concise"}}),
    ("responses", {"reasoning": {"summary": "detailed"}}),
    ("messages", {"thinking": {"type": "enabled", "budget_tokens": 2000}}),
    ("messages", {"thinking": {"type": "adaptive", "display": "summarized"}}),
]
HIDING = [
    ("chat_completions", {"thinking": {"type": "adaptive", "display": "omitted"}}, "omitted"),
    ("responses", {"reasoning": {"effort": "high"}}, None),
    ("messages", {"thinking": {"type": "adaptive"}}, None),
    ("messages", {"thinking": {"type": "adaptive", "display": "omitted"}}, "omitted"),
    (
        "messages",
        {"thinking": {"type": "enabled", "budget_tokens": 2000, "display": "omitted"}},
        "omitted",
    ),
]


@every_value
@pytest.mark.parametrize(("client", "own"), SHOWING)
@pytest.mark.parametrize("id", ["claude-opus-5", "claude-opus-5.5", "claude-sonnet-5.5"])
def test_clients_that_show_reasoning_get_a_summary(client: str, own: Json, id: str) -> None:
    """Newer models omit the text of their thinking unless a summary is requested."""
    asked = thinking(client, id, own=own)

    assert ("adaptive", "summarized") == (asked["type"], asked["display"])


@pytest.mark.parametrize(("client", "own", "display"), HIDING)
def test_other_clients_keep_their_display(client: str, own: Json, display: str | None) -> None:
    """A client that shows no reasoning, or sets the display itself, gets what it requested."""
    assert display == thinking(client, "claude-opus-5", own=own).get("display")


@pytest.mark.parametrize("client", ["chat_completions", "messages"])
def test_the_display_survives_the_change_to_a_budget(client: str) -> None:
    """When adaptive thinking becomes a budget, the display setting is kept."""
    own = {"thinking": {"type": "adaptive", "display": "omitted"}}
    model = claude("claude-sonnet-4.5", adaptive_thinking=None, reasoning_effort=None)

    asked = sent(client, model, own=own).body["thinking"]

    assert ("enabled", "omitted") == (asked["type"], asked["display"])


@every_value
@every_client
@pytest.mark.parametrize(
    ("id", "bound"),
    [
        ("claude-opus-5.5", True),
        ("claude-fable-5.1", True),
        ("claude-sonnet-5.5", True),
        ("claude-haiku-5.5", True),
        ("claude-fable-5", False),
        ("claude-opus-5", False),
    ],
)
def test_bound_thinking_goes_with_its_beta(client: str, id: str, bound: bool) -> None:
    """Models that bind thinking to a conversation get the field and beta for it; others do not."""
    own = {
        "chat_completions": {"reasoning_effort": "high"},
        "responses": {"reasoning": {"effort": "high"}},
        "messages": {"thinking": {"type": "adaptive"}},
    }

    for betas in ([], [BINDING]):
        request = sent(client, claude(id), betas=betas, own=own[client])
        assert bound is (request.body["thinking"].get("block_binding") == DROP_BLOCK)
        assert bound is (BINDING in request.headers.get("anthropic-beta", ""))


def test_a_clients_own_binding_is_kept_or_dropped_with_its_beta() -> None:
    """A client's own choice is passed on to models that know it, and dropped for others."""
    own = {"thinking": {"type": "adaptive", "block_binding": {"prefix_mismatch_behavior": "x"}}}

    kept = sent("messages", claude("claude-opus-5.5"), own=own)
    dropped = sent("messages", claude("claude-opus-5"), betas=[BINDING], own=own)

    assert own["thinking"] == kept.body["thinking"]
    assert BINDING == kept.headers["anthropic-beta"]
    assert {"type": "adaptive"} == dropped.body["thinking"]
    assert "anthropic-beta" not in dropped.headers
    assert any("thinking.block_binding" in note for note in dropped.notes)


def test_disabled_thinking_has_no_other_fields() -> None:
    """Fields that only apply to thinking are left out if thinking is disabled."""
    own = {"thinking": {"type": "disabled", "display": "summarized"}}

    assert {"type": "disabled"} == thinking("messages", "claude-sonnet-5.5", own=own)


FORCED = {
    "chat_completions": {"tool_choice": {"type": "function", "function": {"name": "f"}}},
    "responses": {"tool_choice": {"type": "function", "name": "f"}},
    "messages": {"tool_choice": {"type": "tool", "name": "f"}},
}


@every_client
@pytest.mark.parametrize("one", [False, True])
@pytest.mark.parametrize("route", ["messages", "chat_completions"])
def test_a_forced_tool_becomes_an_instruction(client: str, one: bool, route: str) -> None:
    """A model that cannot be forced is instructed to call the tool, and a note says so."""
    model = claude("claude-opus-5.5")
    if route == "chat_completions":
        model = model_on(route, "claude-opus-5.5", "Anthropic")
    wish: Json = {"own": FORCED[client]} if one else {"forced": True}

    request = sent(client, model, tool="f", **wish)

    choice = request.body["tool_choice"]
    assert "auto" == (choice["type"] if isinstance(choice, dict) else choice)
    prompt = json.dumps(request.body.get("system") or request.body["messages"][0])
    assert ("Call the tool f now" if one else "Call one of the tools now") in prompt
    assert any(note.startswith("changed tool_choice") for note in request.notes)


@every_client
@pytest.mark.parametrize("id", ["claude-opus-5.5", "claude-fable-5"])
def test_the_instruction_leaves_the_cached_prompt_unchanged(client: str, id: str) -> None:
    """In the middle of a conversation, the instruction is at the end, after the cache marks."""
    steps = (user(), assistant("Yes?"), user("Go"))
    plain = sent(client, claude(id), *steps, system="Be kind.", tool="f")

    forced = sent(client, claude(id), *steps, system="Be kind.", tool="f", forced=True)

    *earlier, last = forced.body["messages"]
    instruction = {"type": "text", "text": CALL_ANY_TOOL}
    assert {"role": "system", "content": [instruction]} == last
    assert (plain.body["messages"], plain.body["system"]) == (earlier, forced.body["system"])
    assert any("and added an instruction at the end" in note for note in forced.notes)


@every_client
def test_other_models_are_forced(client: str) -> None:
    """A model that supports forced calls is forced to call the tool."""
    request = sent(client, claude("claude-opus-5"), tool="f", forced=True)

    assert "any" == request.body["tool_choice"]["type"]
    assert "now" not in json.dumps(request.body)


def thought(*blocks: Json) -> list[Json]:
    """Return the events of a response with these blocks."""
    events = [START]
    for index, block in enumerate(blocks):
        start = {**block, "thinking": "", "signature": ""} if "thinking" in block else block
        events.append({"type": "content_block_start", "index": index, "content_block": start})
        for delta in _deltas(block):
            events.append({"type": "content_block_delta", "index": index, "delta": delta})
        events.append({"type": "content_block_stop", "index": index})
    stop = {"stop_reason": "tool_use", "stop_sequence": None}
    return [*events, {"type": "message_delta", "delta": stop, "usage": {}}, STOP]


def _deltas(block: Json) -> list[Json]:
    if block["type"] != "thinking":
        return []
    signature = {"type": "signature_delta", "signature": block["signature"]}
    if not block["thinking"]:
        return [signature]
    return [{"type": "thinking_delta", "thinking": block["thinking"]}, signature]


def _history(client: str, answer: Json) -> list[Json]:
    """Return the next request's messages or items: question, whole answer, tool result."""
    question = {"role": "user", "content": "Hi"}
    if client == "chat_completions":
        result = {"role": "tool", "tool_call_id": "toolu_1", "content": "done"}
        return [question, answer["choices"][0]["message"], result]
    if client == "responses":
        result = {"type": "function_call_output", "call_id": "toolu_1", "output": "done"}
        return [question, *answer["output"], result]
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "done"}
    said = {"role": "assistant", "content": answer["content"]}
    return [question, said, {"role": "user", "content": [result]}]


VISIBLE = {"type": "thinking", "thinking": "Hm.", "signature": "aa"}
LATER = {"type": "thinking", "thinking": "So.", "signature": "bb"}


@every_value
@every_client
@pytest.mark.parametrize("id", ["claude-opus-4.7", "claude-opus-5.5", "claude-haiku-4.5"])
@pytest.mark.parametrize(
    "blocks",
    [
        [HIDDEN, USE],
        [VISIBLE, HIDDEN, USE],
        [HIDDEN, LATER, USE],
        [VISIBLE, HIDDEN, LATER, USE],
        [HIDDEN, {**HIDDEN, "signature": "cc"}, USE],
        [{"type": "text", "text": "Let me see."}, HIDDEN, USE],
    ],
)
def test_hidden_thinking_comes_back_to_the_model(client: str, id: str, blocks: list[Json]) -> None:
    """Signed thinking without text reaches every client, and returns with the tool result."""
    model = claude(id)
    first = sent(client, model, user(), tool="f", effort="high")
    answer = answer_of(first, thought(*blocks), client)

    key = "input" if client == "responses" else "messages"
    conversation = {key: _history(client, answer.raw), "max_tokens": 9000}
    if client == "responses":
        del conversation["max_tokens"]
    request = prepared(client, model, {"model": id, **conversation})

    (said,) = [one for one in request.body["messages"] if one["role"] == "assistant"]
    kept = [
        {name: block[name] for name in ("type", "thinking", "signature")}
        for block in said["content"]
        if block["type"] == "thinking"
    ]
    assert [block for block in blocks if block["type"] == "thinking"] == kept


def test_hidden_thinking_is_remembered_for_clients_that_drop_it() -> None:
    """Chat Completions clients that ignore `reasoning_opaque` do not lose the thinking."""
    model, cache = claude("claude-opus-5.5"), ReasoningCache()
    question = {"role": "user", "content": "Hi"}
    ask = {"model": model.id, "messages": [question]}
    first = prepared("chat_completions", model, ask, cache=cache)
    answer = answer_of(first, thought(HIDDEN, USE), "chat_completions")

    _, said, result = _history("chat_completions", answer.raw)
    del said["reasoning_opaque"]
    messages = [question, said, result]
    request = prepared("chat_completions", model, {**ask, "messages": messages}, cache=cache)

    assert HIDDEN == request.body["messages"][1]["content"][0]


@pytest.mark.parametrize("own", [{"type": "adaptive"}, {"type": "enabled", "budget_tokens": 2000}])
def test_thinking_continues_in_the_tool_loop(own: Json) -> None:
    """A turn with hidden thinking counts as a turn with thinking, so the model keeps thinking."""
    messages = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": [HIDDEN, USE]},
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "done"}],
        },
    ]
    body = {"max_tokens": 4000, "thinking": own, "messages": messages}
    budgeted = claude("claude-sonnet-4.5", adaptive_thinking=None, reasoning_effort=None)

    for model in (claude("claude-opus-4.7"), budgeted):
        request = prepared("messages", model, {"model": model.id, **body})
        assert request.body["thinking"]["type"] in ("adaptive", "enabled")
        assert not any(note.startswith("dropped thinking") for note in request.notes)


@every_client
def test_adaptive_thinking_may_begin_in_the_middle_of_a_turn(client: str) -> None:
    """Adaptive thinking is kept even if the turn began without it."""
    messages: dict[str, tuple[str, Json]] = {
        "chat_completions": ("messages", {"reasoning_effort": "high", "max_tokens": 9000}),
        "responses": ("input", {"reasoning": {"effort": "high"}}),
        "messages": (
            "messages",
            {"thinking": {"type": "enabled", "budget_tokens": 2000}, "max_tokens": 9000},
        ),
    }
    model = claude("claude-opus-4.7")
    first = answer_of(sent(client, model, tool="f"), thought(USE), client)
    key, fields = messages[client]

    request = prepared(
        client, model, {"model": model.id, key: _history(client, first.raw), **fields}
    )

    assert "adaptive" == request.body["thinking"]["type"]


def test_omitted_thinking_is_hidden_from_messages_clients() -> None:
    """A client that requests no thinking text gets none from other models, either."""
    own = {"thinking": {"type": "adaptive", "display": "omitted"}}
    events = [
        {"choices": [{"delta": {"reasoning_text": "Hm.", "reasoning_opaque": "xyz"}}]},
        {"choices": [{"delta": {"content": "Hello"}, "finish_reason": "stop"}]},
    ]

    model = model_on("chat_completions", "gemini-4-neon", "Google")
    answer = answer_of(sent("messages", model, own=own), events, "messages")

    assert [("thinking", ""), ("text", None)] == [
        (block["type"], block.get("thinking")) for block in answer.raw["content"]
    ]


@pytest.mark.parametrize("client", APIS)
def test_reasoning_summary_never_leaves_the_program(client: str) -> None:
    """A request for a summary is expressed in fields that Copilot accepts."""
    own = {"reasoning": {"effort": "low", "summary": "auto"}} if client == "responses" else {}

    for route in APIS:
        request = sent(client, model_on(route, "m", "Google"), own=own)
        assert "reasoning_summary" not in json.dumps(request.body)
        assert not any("reasoning_summary" in note for note in request.notes)


def test_reasoning_summary_does_not_reach_pi_ai() -> None:
    """pi-ai does not receive the field, and the client receives no note about it."""
    chat = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
    model = model_on("chat_completions", "gemini-4-neon", "Google")
    notes: list[str] = []

    adapted = pi_ai_from_chat({**chat, "reasoning_summary": "auto"}, model, notes)

    assert "reasoning_summary" not in json.dumps(adapted.body)
    assert [] == notes


def test_eager_input_is_for_models_that_support_it() -> None:
    """Only Haiku 4.5 gets tools without `eager_input_streaming`; all models get `strict`."""
    tool = {"name": "f", "input_schema": {"type": "object"}, "strict": True}
    own = {"tools": [{**tool, "eager_input_streaming": True}]}

    kept = sent("messages", claude("claude-sonnet-5"), own=own)
    dropped = sent("messages", claude("claude-haiku-4.5"), own=own)

    assert own["tools"] == kept.body["tools"]
    assert [tool] == dropped.body["tools"]


@every_client
def test_many_images_are_sent(client: str) -> None:
    """Copilot does not enforce the catalogue's image limit, so all images are sent."""
    data = "iVBORw0KGgo="
    url = f"data:image/png;base64,{data}"
    part = {
        "chat_completions": {"type": "image_url", "image_url": {"url": url}},
        "responses": {"type": "input_image", "image_url": url},
        "messages": {
            "type": "image",
            "source": {"type": "base64", "media_type": "image/png", "data": data},
        },
    }[client]
    key = "input" if client == "responses" else "messages"

    request = sent(
        client, claude("claude-opus-5"), own={key: [{"role": "user", "content": [part] * 20}]}
    )

    assert 20 == json.dumps(request.body).count(data)


@pytest.mark.parametrize(
    ("id", "expected"),
    [
        ("claude-haiku-4.5", "optional"),
        ("claude-sonnet-4.6", "optional"),
        ("claude-opus-4.7", "required_form"),
        ("claude-sonnet-5.5", "required_form"),
        ("claude-haiku-5.5", "required_form"),
        ("claude-opus-5.5", "adaptive_only"),
        ("claude-fable-5.1", "adaptive_only"),
    ],
)
def test_the_class_of_thinking_follows_from_id_and_catalogue(id: str, expected: str) -> None:
    """The thinking class of a model in the catalogue is that of its family."""
    supports = {} if id != "claude-haiku-4.5" else {"adaptive_thinking": None}

    assert expected == profile_of(claude(id, **supports), "messages").thinking
