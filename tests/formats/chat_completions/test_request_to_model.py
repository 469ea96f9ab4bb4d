"""Requests are adapted to the model: names, limits, efforts, sampling, streams and tools."""

import copy
from typing import Any

import pytest

from copilot_proxy.catalogue import Model
from copilot_proxy.formats.model_profiles import profile_of
from tests.formats.requests import (
    PNG,
    RECORDED,
    TOOL,
    a_model,
    chat_request,
    for_chat,
    recorded,
    user,
)
from tests.selection import every_value


def adapted(to: Model | None, /, **fields: Any) -> Any:
    """Return the body for Copilot."""
    return for_chat(chat_request(**fields), to)[0]


def test_the_clients_request_is_not_touched() -> None:
    """The client's request is not modified, so that it can be adapted again for a retry."""
    request = chat_request(
        {"role": "developer", "content": "x"},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
        user([{"type": "image_url", "image_url": PNG}]),
        tools=[{"function": {"name": "f"}}],
        max_tokens=5,
        temperature=1,
    )
    before = copy.deepcopy(request)
    for_chat(request, recorded("gpt-5-mini"))

    assert before == request


def test_the_model_id_is_sent() -> None:
    """Copilot receives the model's id or, for an unknown model, the name that the client sent."""
    assert "gpt-4o" == adapted(recorded("gpt-4o"), model="default")["model"]
    assert "default" == adapted(None, model="default")["model"]


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        *[(m, True) for m in RECORDED if m.id.startswith("gpt-5")],
        *[(m, False) for m in RECORDED if not m.id.startswith("gpt-5") and m.is_chat],
        (a_model("o3-mini", "OpenAI"), True),
        (a_model("gpt-6", "OpenAI"), True),
        (a_model("gpt-4", "OpenAI"), False),
        (a_model("gpt-40", "OpenAI"), True),
        (a_model("grok-code-fast-1", "xAI"), False),
        (None, False),
    ],
)
def test_which_models_fix_their_sampling(model: Model | None, expected: bool) -> None:
    """GPT-5, the o-series and newer models fix their sampling; older GPTs and others do not."""
    profile = profile_of(model, "chat_completions")
    assert expected is ("max_completion_tokens" == profile.limit_field)


@pytest.mark.parametrize(
    ("model", "fields", "expected"),
    [
        ("gpt-5-mini", {"max_tokens": 5, "max_completion_tokens": 7}, {"max_completion_tokens": 7}),
        ("gpt-5-mini", {}, {}),
        ("gpt-4o", {"max_tokens": 5, "max_completion_tokens": 7}, {"max_tokens": 7}),
        ("gpt-4o", {}, {}),
        ("gemini-2.5-pro", {}, {}),
        ("claude-sonnet-4.5", {"max_tokens": 5, "max_completion_tokens": 7}, {"max_tokens": 7}),
        ("claude-sonnet-4.5", {"stream": True}, {"max_tokens": 32000}),
        ("claude-sonnet-4.5", {}, {"max_tokens": 32000}),
        ("claude-sonnet-4", {}, {"max_tokens": 16000}),
    ],
)
def test_one_limit_under_the_name_that_the_model_accepts(
    model: str, fields: Any, expected: Any
) -> None:
    """At most one limit is sent; Claude always gets one, by default the maximum."""
    body = adapted(recorded(model), **fields)

    assert expected == {k: v for k, v in body.items() if k.startswith("max_")}


@pytest.mark.parametrize("offered", [[], ["low", "high"]])
def test_no_effort_means_no_thinking_for_claude(offered: list[str]) -> None:
    """Claude thinks on Chat Completions only if a request asks for it, so `none` is left out."""
    model = a_model("claude-x", "Anthropic", supports={"reasoning_effort": offered})

    body, notes = for_chat(chat_request(reasoning_effort="none"), model)

    assert "reasoning_effort" not in body
    assert not [note for note in notes if "effort" in note]


def test_a_claude_without_limits_gets_none() -> None:
    """No limit is set if the catalogue has none."""
    assert "max_tokens" not in adapted(a_model("claude-x", "Anthropic"))


@pytest.mark.parametrize(
    ("offered", "asked_for", "expected"),
    [
        (["low", "medium", "high"], "high", "high"),
        (["low", "medium", "high"], "xhigh", "high"),
        (["low", "medium", "high"], "minimal", "low"),
        (["low", "medium", "high"], "none", "low"),
        (["low", "high"], "medium", "low"),
        (["none", "low"], "max", "low"),
        (["high"], "medium", "high"),
        (["low", "turbo"], "high", "low"),
        (["low"], "turbo", "turbo"),  # Copilot's error names the supported values
        (["turbo"], "high", None),
        ([], "high", None),
        (None, "high", None),
        ([5], "high", None),
    ],
)
def test_efforts_are_clamped(offered: object, asked_for: str, expected: str | None) -> None:
    """An effort that the model does not offer becomes the nearest supported effort."""
    model = a_model(supports={"reasoning_effort": offered})
    body, notes = for_chat(chat_request(reasoning_effort=asked_for), model)

    assert expected == body.get("reasoning_effort")
    assert (expected != asked_for) == bool(notes)


@pytest.mark.parametrize(
    ("model", "fields", "expected"),
    [
        ("claude-sonnet-4.5", {"temperature": 0.5, "top_p": 0.5}, {"temperature": 0.5}),
        ("claude-sonnet-4", {"temperature": 0.5, "top_p": 0.5}, {"temperature": 0.5, "top_p": 0.5}),
        ("claude-opus-4.6", {"temperature": 0.5}, {"temperature": 0.5}),
        ("claude-opus-4.7", {"temperature": 0.5}, {}),
        ("claude-opus-4.7", {"temperature": 0.5, "top_p": 0.5}, {}),
        ("claude-opus-4.10", {"temperature": 0.5}, {}),
        ("claude-opus-5", {"temperature": 0.5}, {}),
        ("claude-sonnet-5", {"temperature": 0.5}, {}),
        ("claude-next", {"temperature": 0.5, "top_p": 0.5}, {"temperature": 0.5, "top_p": 0.5}),
    ],
)  # fmt: skip
def test_claudes_sampling(model: str, fields: Any, expected: Any) -> None:
    """Claude 4.5 and 4.6 get only temperature or top_p; Claude 4.7 and later get neither."""
    body = adapted(a_model(model, "Anthropic"), **fields)

    assert expected == {k: v for k, v in body.items() if k in ("temperature", "top_p")}


@pytest.mark.parametrize(
    ("prediction", "expected"),
    [({"content": "x"}, True), ({"content": ""}, False), ({}, False)],
)
def test_an_empty_prediction_is_dropped(prediction: object, expected: bool) -> None:
    """A prediction without content, which Copilot refuses, is dropped."""
    assert expected is ("prediction" in adapted(recorded("gpt-4o"), prediction=prediction))


@pytest.mark.parametrize(("says", "expected"), [(True, True), (False, False), (None, False)])
def test_parallel_calls_only_where_they_are_offered(says: object, expected: bool) -> None:
    """`parallel_tool_calls` is sent only to models that list it."""
    model = a_model(supports={} if says is None else {"parallel_tool_calls": says})

    tools = [{"type": "function", "function": {"name": "f"}}]
    body = adapted(model, parallel_tool_calls=True, tools=tools)

    assert expected is ("parallel_tool_calls" in body)


@pytest.mark.parametrize(
    ("model", "fields", "expected"),
    [
        (recorded("gpt-4o"), {}, False),
        (recorded("gpt-4o"), {"stream": True}, True),
        (None, {"stream": True}, True),
        (None, {}, False),
        (a_model(supports={"streaming": False}), {"stream": True}, False),
        (a_model(), {"stream": True}, False),
        (recorded("claude-sonnet-4.5"), {"max_tokens": 16000}, False),
        (recorded("claude-sonnet-4.5"), {"max_tokens": 16001}, True),
        (recorded("claude-sonnet-4.5"), {"max_completion_tokens": 20000}, True),
    ],
)
def test_when_a_stream_is_requested_from_copilot(
    model: Model | None, fields: Any, expected: bool
) -> None:
    """Copilot streams if the client asks for it and the model can, and for long Claude output."""
    body = adapted(model, **fields)

    assert expected is body["stream"]
    assert ({"include_usage": True} if expected else None) == body.get("stream_options")


@every_value
@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ({}, {"type": "object", "properties": {}}),
        ({"parameters": None}, {"type": "object", "properties": {}}),
        ({"parameters": {}}, {"type": "object", "properties": {}}),
        ({"parameters": {"type": None}}, {"type": "object", "properties": {}}),
        ({"parameters": {"type": "object"}}, {"type": "object", "properties": {}}),
        ({"parameters": {"type": ["object", "null"]}}, {"type": "object", "properties": {}}),
        ({"parameters": {"properties": {"x": {}}}}, {"type": "object", "properties": {"x": {}}}),
        (
            {"parameters": {"type": "object", "properties": {"x": {}}, "required": ["x"]}},
            {"type": "object", "properties": {"x": {}}, "required": ["x"]},
        ),
    ],
)
@pytest.mark.parametrize("more", [{}, {"type": "function"}])
def test_tools_always_have_a_schema(function: Any, expected: Any, more: Any) -> None:
    """A tool without parameters gets an empty object schema, and every tool gets a type."""
    tools = [{**more, "function": {"name": "f", "description": None, "strict": None, **function}}]
    body = adapted(None, tools=tools)

    assert [{"type": "function", "function": {"name": "f", "parameters": expected}}] == (
        body["tools"]
    )


def test_an_empty_list_of_tools_is_none() -> None:
    """Without tools, the fields for the tool choice are dropped as well."""
    body = adapted(recorded("gpt-4o"), tools=[], tool_choice="auto", parallel_tool_calls=True)

    assert not {"tools", "tool_choice", "parallel_tool_calls"} & set(body)


@pytest.mark.parametrize("choice", ["none", "required", {"type": "function"}])
def test_the_choice_of_a_tool_is_kept(choice: object) -> None:
    """The client's tool choice reaches the model."""
    assert choice == adapted(recorded("gpt-4o"), tools=[TOOL], tool_choice=choice)["tool_choice"]
