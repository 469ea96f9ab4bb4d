"""A Messages request for a model that Copilot serves on Messages."""

import copy
import json
from typing import Any

import pytest

from copilot_proxy.catalogue import Model
from copilot_proxy.errors import RequestError
from copilot_proxy.formats.messages.betas import select_betas
from copilot_proxy.formats.messages.request_to_model import messages_for_model
from copilot_proxy.formats.types import Json, MessagesRequest
from tests.formats.messages.samples import (
    EPHEMERAL,
    IMAGE,
    SIGNATURE,
    THOUGHT,
    TOOL,
    assistant,
    check_with_simulator,
    recorded,
    request,
    result,
    simulated,
    text,
    use,
    user,
)
from tests.formats.requests import a_model
from tests.pdfs import PDF

SONNET = simulated("claude-sonnet-4.5")
ADAPTIVE = simulated("claude-sonnet-4.6")
OPUS = simulated("claude-opus-4.7")
HAIKU = simulated("claude-haiku-4.5")
CONTINUE = user("Please continue.")
NUDGED = "added a user message (Please continue.): Copilot does not continue assistant messages"
EFFORT: Json = {"role": "system", "content": [], "output_config": {"effort": "low"}}
MOVED = (
    "moved a system message after the user message that follows it: Claude only accepts it there"
)
ADDED = "added a user message (Please continue.): Claude requires one before a system message"
SYSTEM = {"role": "system", "content": "Now be brief."}


def prepared(
    sent: MessagesRequest, model: Model | None = SONNET, *, checked: bool = True
) -> tuple[MessagesRequest, list[str]]:
    """Return the body, which follows Copilot's rules, and the notes; `sent` is not modified."""
    before = copy.deepcopy(sent)
    notes: list[str] = []
    body = messages_for_model(sent, model, notes).body
    assert before == sent
    if checked:
        check_with_simulator(body, betas=select_betas([], body)[0])
    return body, notes


@pytest.mark.parametrize(
    "sent",
    [
        recorded("simple-request"),
        recorded("streaming-request"),
        recorded("tool-use-request"),
        recorded("tool-use-followup-request"),
        request(user(text("Hi", **EPHEMERAL)), system=[text("Be brief.", **EPHEMERAL)]),
        request(
            user("Hi"),
            assistant(THOUGHT, text("I look."), use()),
            user(result(content=[text("seen"), IMAGE], is_error=True), text("And?")),
            tools=[{**TOOL, **EPHEMERAL}],
            tool_choice={"type": "auto", "disable_parallel_tool_use": True},
            thinking={"type": "enabled", "budget_tokens": 2000},
            metadata={"user_id": "u"},
            stop_sequences=["END"],
            top_p=0.95,
        ),
        request(user("Hi"), temperature=0.2, top_k=5, stream=True),
    ],
)
def test_a_supported_request_is_not_changed(sent: MessagesRequest) -> None:
    """A request that Copilot accepts is passed on byte for byte."""
    body, notes = prepared(sent, simulated(sent["model"]))

    assert json.dumps(sent) == json.dumps(body)
    assert [] == notes


@pytest.mark.parametrize(
    ("fields", "expected", "notes"),
    [
        pytest.param(
            {"service_tier": "auto", "speed": "fast", "stop_sequences": None},
            {},
            [
                "dropped service_tier: Copilot does not accept it",
                "dropped speed: Copilot does not accept it",
            ],
            id="unknown fields",
        ),
        pytest.param({"system": " "}, {}, [], id="a blank system prompt"),
        pytest.param(
            {"system": [text(""), text("Be brief."), text(" \n")]},
            {"system": [text("Be brief.")]},
            [],
            id="blank blocks of the system prompt",
        ),
        pytest.param(
            {"system": [text("x-anthropic-billing-header: cch=1;"), text("Be brief.")]},
            {"system": [text("Be brief.")]},
            ["dropped the billing line from the system prompt: it would defeat the cache"],
            id="the billing line",
        ),
        pytest.param(
            {"max_tokens": 64000, "stream": True},
            {"max_tokens": 32000, "stream": True},
            ["changed max_tokens from 64000 to 32000: the model's limit"],
            id="a limit above the model's",
        ),
        pytest.param(
            {"max_tokens": 20000},
            {"max_tokens": 20000, "stream": True},
            [],
            id="a limit that requires a stream",
        ),
        pytest.param(
            {"temperature": 0.5, "top_p": 0.5},
            {"temperature": 0.5},
            ["dropped top_p: the model does not accept it with temperature"],
            id="temperature and top_p",
        ),
        pytest.param(
            {"temperature": 1.5},
            {"temperature": 1},
            ["changed temperature from 1.5 to 1: the maximum for Claude"],
            id="a temperature on OpenAI's scale",
        ),
        pytest.param(
            {"output_config": {"effort": "high"}},
            {},
            ["dropped output_config.effort: the model does not support it"],
            id="an effort for a model without efforts",
        ),
        pytest.param(
            {"output_config": {"format": None, "effort": None}}, {}, [], id="an empty output_config"
        ),
        pytest.param(
            {"output_format": {"type": "json_schema", "schema": {"type": "object"}}},
            {
                "system": [
                    text(
                        "Answer with JSON and nothing else: no other words, no code fence. It "
                        'must be valid against this JSON schema:\n{"type":"object"}'
                    )
                ]
            },
            [
                "changed output_config.format to an instruction: the model does not support "
                "structured output",
            ],
            id="a schema for a model without structured output",
        ),
        pytest.param(
            {"output_config": {"format": "odd"}, "system": "Be brief."},
            {
                "system": [
                    text("Be brief."),
                    text(
                        "Answer with one JSON object and nothing else: no other words, no code "
                        "fence."
                    ),
                ]
            },
            [
                "changed output_config.format to an instruction: the model does not support "
                "structured output",
            ],
            id="an invalid format",
        ),
    ],
)
def test_fields(fields: Json, expected: Json, notes: list[str]) -> None:
    """A field that Copilot or the model rejects is changed or dropped, with a note."""
    assert (request(**expected), notes) == prepared(request(**fields))


SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 3}
FINDER = {"type": "tool_search_tool_regex_20251119", "name": "find"}


@pytest.mark.parametrize(
    ("fields", "expected", "notes"),
    [
        pytest.param(
            {"tools": [{**TOOL, "strict": True, "eager_input_streaming": True, "type": "custom"}]},
            {"tools": [{**TOOL, "strict": True, "eager_input_streaming": True, "type": "custom"}]},
            [],
            id="fields of tools",
        ),
        pytest.param(
            {"tools": [{**TOOL, "allowed_callers": ["direct"]}]},
            {"tools": [TOOL]},
            ["dropped allowed_callers from tools: Copilot does not support it"],
            id="unknown fields of tools",
        ),
        pytest.param(
            {"tools": [{"name": "f", "description": None}, {**TOOL, "input_schema": {"x": 1}}]},
            {
                "tools": [
                    {"name": "f", "input_schema": {"type": "object", "properties": {}}},
                    {"name": "f", "input_schema": {"type": "object", "properties": {}, "x": 1}},
                ]
            },
            [],
            id="schemas without type object",
        ),
        pytest.param(
            {"tools": [FINDER, {**TOOL, "defer_loading": True}]},
            {"tools": [TOOL]},
            [
                "dropped the tool tool_search_tool_regex_20251119: Copilot does not run this "
                "search, so the model gets all tools"
            ],
            id="deferred tools that Copilot cannot find",
        ),
        pytest.param(
            {"tools": [{**TOOL, "defer_loading": False}]},
            {"tools": [TOOL]},
            [],
            id="a tool that is not deferred",
        ),
        pytest.param(
            {"tools": [{**TOOL, "defer_loading": True}], "tool_choice": {"type": "any"}},
            {"tools": [{**TOOL, "defer_loading": True}], "tool_choice": {"type": "any"}},
            [],
            id="deferred tools that the client finds",
        ),
    ],
)
def test_tools(fields: Json, expected: Json, notes: list[str]) -> None:
    """Tools that Copilot cannot run and fields that it rejects are dropped with a note."""
    assert (request(**expected), notes) == prepared(request(**fields))


BARE = {"type": "thinking", "thinking": "Hm."}
UNSIGNED = {"type": "thinking", "thinking": "Hm.", "signature": ""}
FOREIGN = {"type": "thinking", "thinking": "Hm.", "signature": "responses:gAAA"}
GPTS = {"type": "thinking", "thinking": "Hm.", "signature": "gAAA@rs_1"}
REDACTED = {"type": "redacted_thinking", "data": "EmwK"}
NOT_SIGNED = "dropped thinking blocks: they are not signed by Claude"


@pytest.mark.parametrize(
    ("messages", "expected", "notes"),
    [
        pytest.param(
            [user(text("a"), text(" ")), assistant(text("")), user("b"), user(" ")],
            [user(text("a")), user("b")],
            ["dropped messages[1]: it is empty", "dropped messages[3]: it is empty"],
            id="blank texts",
        ),
        pytest.param(
            [user(text("a", citations=None, parsed_output=None))],
            [user(text("a"))],
            [],
            id="fields that are null",
        ),
        pytest.param(
            [user("a"), assistant("Hel")],
            [user("a"), assistant("Hel"), CONTINUE],
            [NUDGED],
            id="an unfinished answer at the end",
        ),
        pytest.param(
            [user("a"), assistant(BARE, UNSIGNED, FOREIGN, GPTS, text("b")), user("c")],
            [user("a"), assistant(text("b")), user("c")],
            [NOT_SIGNED],
            id="thinking of other models",
        ),
        pytest.param(
            [
                user("a"),
                assistant(
                    {**THOUGHT, "signature": f"messages:{SIGNATURE}"},
                    {**THOUGHT, "thinking": ""},
                    {**THOUGHT, "thinking": "Thinking..."},
                    {"type": "thinking", "signature": SIGNATURE},
                    REDACTED,
                    {"type": "redacted_thinking", "data": "responses:x"},
                    text("b"),
                ),
                user("c"),
            ],
            [
                user("a"),
                assistant(THOUGHT, *[{**THOUGHT, "thinking": ""}] * 3, REDACTED, text("b")),
                user("c"),
            ],
            [],
            id="thinking of Claude's",
        ),
        pytest.param(
            [
                user("a"),
                assistant(
                    {"type": "mcp_tool_use", "id": "m", "name": "f", "input": {}},
                    {"type": "mcp_tool_result", "tool_use_id": "m", "content": [text("r")]},
                    text("b"),
                    use(),
                ),
                user(result(content=[text(""), text("c")])),
            ],
            [
                user("a"),
                assistant(
                    text('(mcp_tool_use: {"name":"f","input":{}})'),
                    text('(mcp_tool_result: {"content":[{"type":"text","text":"r"}]})'),
                    text("b"),
                    use(),
                ),
                user(result(content=[text("c")])),
            ],
            [
                "changed mcp_tool_result blocks to text: Copilot does not support them",
                "changed mcp_tool_use blocks to text: Copilot does not support them",
            ],
            id="blocks of server tools",
        ),
        pytest.param(
            [user("a"), assistant(use("b"), use("c")), user(result("b", "\n"), result("c", []))],
            [
                user("a"),
                assistant(use("b"), use("c")),
                user(
                    {"type": "tool_result", "tool_use_id": "b"},
                    {"type": "tool_result", "tool_use_id": "c"},
                ),
            ],
            [],
            id="empty results",
        ),
        pytest.param(
            [user("a"), assistant(use("b")), user(result("b", "", is_error=True))],
            [
                user("a"),
                assistant(use("b")),
                user(result("b", "The tool failed.", is_error=True)),
            ],
            [],
            id="a failed result without content",
        ),
        pytest.param(
            [{**user(""), "output_config": {"effort": "low"}}, user("a")],
            [user("a")],
            ["dropped messages[0]: it is empty"],
            id="only system messages configure the model",
        ),
        pytest.param(
            [user("a"), SYSTEM, assistant("b"), user("c")],
            [user("a"), SYSTEM, assistant("b"), user("c")],
            [],
            id="a later system message",
        ),
        pytest.param(
            [user("a"), assistant("b"), SYSTEM],
            [user("a"), assistant("b"), CONTINUE, SYSTEM],
            [ADDED],
            id="a system message after the answer",
        ),
        pytest.param(
            [user("a"), assistant("b"), SYSTEM, user("c")],
            [user("a"), assistant("b"), user("c"), SYSTEM],
            [MOVED],
            id="a system message before the user's",
        ),
        pytest.param(
            [user("a"), SYSTEM, SYSTEM, assistant("b"), EFFORT, user("c"), EFFORT],
            [user("a"), SYSTEM, SYSTEM, assistant("b"), EFFORT, user("c"), EFFORT],
            [],
            id="consecutive system messages, and those that only configure the model",
        ),
        pytest.param(
            [user({"type": "document", "source": {"type": "text", "data": "x"}}, IMAGE)],
            [user({"type": "document", "source": {"type": "text", "data": "x"}}, IMAGE)],
            [],
            id="documents and images",
        ),
        pytest.param(
            [user({"type": "search_result", "content": [text("x")]}, {"type": "new_kind"})],
            [user({"type": "search_result", "content": [text("x")]}, {"type": "new_kind"})],
            [],
            id="unknown types of blocks",
        ),
    ],
)
def test_messages(messages: list[Json], expected: list[Json], notes: list[str]) -> None:
    """Blocks that Copilot rejects are dropped, and the others keep their order."""
    checked = "new_kind" not in str(messages) and "mcp_tool_use" not in str(messages)

    body, noted = prepared(request(*messages), checked=checked)

    assert (expected, notes) == (body["messages"], noted)


@pytest.mark.parametrize("system", [None, "Be kind.", [text("Be kind.")]])
def test_leading_system_messages_join_the_system_prompt(system: Any) -> None:
    """System messages at the start become part of the system prompt."""
    leading = {"role": "system", "content": [text("Be brief.")]}

    body, notes = prepared(request(SYSTEM, leading, user("Hi"), system=system))

    first = [text("Be kind.")] if system else []
    assert [*first, text("Now be brief."), text("Be brief.")] == body["system"]
    assert ([user("Hi")], []) == (body["messages"], notes)


@pytest.mark.parametrize(
    "block",
    [
        {"type": "image", "source": {"type": "url", "url": "https://x/a.png"}},
        {"type": "document", "source": {"type": "file", "file_id": "f"}},
        result(content=[{"type": "image", "source": {"type": "url", "url": "https://x"}}]),
    ],
)
def test_media_that_copilot_would_have_to_fetch_is_rejected(block: Json) -> None:
    """An image or document without its data is rejected, with a hint that says what to do."""
    with pytest.raises(RequestError) as caught:
        messages_for_model(request(user("Hi"), user(block)), SONNET, [])

    inner = ".content[0]" if block["type"] == "tool_result" else ""
    assert f"messages[1].content[0]{inner}.source" == caught.value.param
    assert str(caught.value.hint).startswith("Send the data itself, in a source of type base64")


@pytest.mark.parametrize(
    "messages", [[user(" ")], [SYSTEM], [assistant(text(""))], [EFFORT], [user(" "), EFFORT]]
)
def test_an_empty_conversation_is_rejected(messages: list[Json]) -> None:
    """If there is nothing to answer, the client receives an error, and Copilot is not called."""
    with pytest.raises(RequestError) as caught:
        messages_for_model(request(*messages, cache_control={"type": "ephemeral"}), SONNET, [])

    assert "messages" == caught.value.param


CLEAR_TOOLS = {"type": "clear_tool_uses_20250919"}
CLEAR_THINKING = {"type": "clear_thinking_20251015", "keep": "all"}
THINKING = {"thinking": {"type": "enabled", "budget_tokens": 2000}}


@pytest.mark.parametrize(
    ("fields", "edits", "notes"),
    [
        ({"context_management": {"edits": [CLEAR_TOOLS]}}, [CLEAR_TOOLS], []),
        ({"context_management": {"edits": [CLEAR_THINKING]}, **THINKING}, [CLEAR_THINKING], []),
        (
            {"context_management": {"edits": [CLEAR_THINKING, CLEAR_TOOLS]}},
            [CLEAR_TOOLS],
            ["dropped the context edit clear_thinking_20251015: there is no thinking to clear"],
        ),
        (
            {"context_management": {"edits": [{"type": "compact_20260112"}, 3]}},
            None,
            [
                "dropped the context edit compact_20260112: Copilot does not support it",
                "dropped the context edit None: Copilot does not support it",
            ],
        ),
        ({"context_management": "odd"}, None, []),
    ],
)
def test_context_management(fields: Json, edits: list[Json] | None, notes: list[str]) -> None:
    """The edits that Copilot supports are sent with their beta; others are dropped with a note."""
    body, noted = prepared(request(**fields))

    assert (edits, notes) == ((body.get("context_management") or {}).get("edits"), noted)


def test_counting_drops_fields_of_the_response() -> None:
    """When counting tokens, fields that only affect the response are dropped without a note."""
    sent = request(system="Be brief.", stream=True, temperature=1, mystery=1, **THINKING)
    notes: list[str] = []

    body = messages_for_model(sent, SONNET, notes, counting=True).body

    check_with_simulator(body, counting=True)
    assert {
        "model": "claude-sonnet-4.5",
        "messages": [user("Hi")],
        "system": "Be brief.",
        **THINKING,
    } == body
    assert ["dropped mystery: Copilot does not accept it"] == notes


def test_a_request_to_an_unknown_model_is_not_changed() -> None:
    """For an unknown model, the model's name, limit and thinking are sent unchanged."""
    thinking = {"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}
    sent = request(model="claude-new", max_tokens=10**6, **thinking)

    assert (sent, []) == prepared(sent, None, checked=False)


def test_an_alias_becomes_the_models_id() -> None:
    """The body contains the model's own id."""
    assert "m" == prepared(request(), a_model("m"), checked=False)[0]["model"]


@pytest.mark.parametrize("source", [{"type": "base64", "data": PDF}, "odd"])
def test_documents_with_their_data_are_passed_on(source: Any) -> None:
    """Documents with their data are sent to Copilot, which decides whether it supports them."""
    block = {"type": "document", "source": source}

    assert [user(block)] == prepared(request(user(block)), checked=False)[0]["messages"]


@pytest.mark.parametrize("model", [OPUS, ADAPTIVE, HAIKU])
def test_other_models_accept_a_simple_request(model: Model) -> None:
    """A simple request is sent unchanged to every Claude model."""
    assert request(model=model.id) == prepared(request(), model)[0]
