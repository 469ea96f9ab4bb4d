"""Deferred tools, such as those that Claude Code's search finds, for models of other vendors."""

from typing import Any

import pytest

from copilot_proxy.errors import RequestError
from copilot_proxy.formats.messages.request_to_chat import to_chat
from copilot_proxy.formats.messages.request_to_model import messages_for_model
from copilot_proxy.formats.tool_checks import MAX_TOOLS
from copilot_proxy.formats.types import Json
from tests.formats.messages.samples import TOOL, assistant, request, result, simulated, use, user

FINDER: Json = {**TOOL, "name": "ToolSearch"}
HOSTED: Json = {"type": "tool_search_tool_bm25_20251119", "name": "tool_search_tool_bm25"}
DEFERRED: list[Json] = [{**TOOL, "name": name, "defer_loading": True} for name in ("a", "b")]
CLAUDE = simulated("claude-sonnet-4.5")
WEB: Json = {"type": "web_search_20250305", "name": "web_search"}


def reference(name: str) -> Json:
    return {"type": "tool_reference", "tool_name": name}


def translated(*messages: Json, **fields: Any) -> tuple[Json, list[str]]:
    """Return the chat request and the notes."""
    notes: list[str] = []
    chat = to_chat(request(user("Hi"), *messages, **fields), notes)
    return chat, notes


def names(chat: Json) -> list[str]:
    return [tool["function"]["name"] for tool in chat["tools"]]


def test_deferred_tools_wait_for_the_search() -> None:
    """A tool that the client's search has not found yet is not offered, and a note says so."""
    chat, notes = translated(tools=[FINDER, *DEFERRED])

    assert ["ToolSearch"] == names(chat)
    assert ["dropped 2 deferred tools: not found yet by the client's search"] == notes


def test_found_tools_are_offered() -> None:
    """A reference becomes text, and its tool is offered after that."""
    found = result(content=[reference("b"), reference("gone")])

    chat, notes = translated(assistant(use()), user(found), tools=[FINDER, *DEFERRED])

    assert ["ToolSearch", "b"] == names(chat)
    assert "defer_loading" not in str(chat)
    text = "Found the tool b, which can be called now.\n"
    text += "Found the tool gone, which is not offered."
    assert text == chat["messages"][-1]["content"]
    assert ["dropped a deferred tool: not found yet by the client's search"] == notes


@pytest.mark.parametrize(
    "fields",
    [
        {"tool_choice": {"type": "tool", "name": "a"}},
        {"messages": [assistant(use(name="a"))]},
    ],
    ids=["chosen", "called"],
)
def test_tools_in_use_are_offered(fields: Json) -> None:
    """A deferred tool that was called, or whose call is forced, is offered."""
    messages = fields.pop("messages", [])

    chat, _ = translated(*messages, tools=[FINDER, *DEFERRED], **fields)

    assert ["ToolSearch", "a"] == names(chat)


def test_a_hosted_search_offers_everything() -> None:
    """A search that Anthropic would run cannot work here, so all tools are offered immediately."""
    chat, notes = translated(tools=[HOSTED, *DEFERRED])

    assert ["a", "b"] == names(chat)
    assert [
        "dropped the tool tool_search_tool_bm25_20251119: Copilot does not run this search, so "
        "the model gets all tools"
    ] == notes


def test_many_deferred_tools_are_allowed() -> None:
    """Tools count against Copilot's maximum only if they are offered."""
    many = [{**TOOL, "name": f"t{i}", "defer_loading": True} for i in range(MAX_TOOLS + 1)]

    chat, _ = translated(tools=[FINDER, *many])
    with pytest.raises(RequestError) as caught:
        translated(tools=[HOSTED, *many])

    assert ["ToolSearch"] == names(chat)
    assert ("tools", "array_above_max_length") == (caught.value.param, caught.value.code)


def test_other_blocks_of_a_result_become_text() -> None:
    """A result is never empty just because Chat Completions lacks a block type."""
    odd = {"type": "browser_state", "url": "x"}

    chat, _ = translated(assistant(use()), user(result(content=[odd])), tools=[TOOL])

    assert '{"type":"browser_state","url":"x"}' == chat["messages"][-1]["content"]


@pytest.mark.parametrize(
    ("tools", "choice"),
    [
        ([TOOL, WEB], {"type": "tool", "name": "web_search"}),
        ([], {"type": "tool", "name": "web_search"}),
    ],
)
def test_a_forced_tool_must_be_there(tools: list[Json], choice: Json) -> None:
    """A forced call is refused if its tool is missing, or is one that Copilot does not run."""
    forced = request(tools=tools, tool_choice=choice)

    for prepare in (to_chat, lambda body, notes: messages_for_model(body, CLAUDE, notes)):
        with pytest.raises(RequestError) as caught:
            prepare(forced, [])
        assert ("tool_choice", "unsupported_value") == (caught.value.param, caught.value.code)
