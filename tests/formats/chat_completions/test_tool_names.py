"""Tool names that Copilot refuses."""

import re
from typing import Any

import pytest

from copilot_proxy.formats.chat_completions.tool_names import ToolNames

Json = dict[str, Any]
LONG = "mcp__a_company_with_a_long_name__" + "list_all_the_open_pull_requests_of_a_repository"


def tool(name: str) -> Json:
    return {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}


def chunk(**delta: Any) -> Json:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}


def call(name: str, id: str = "a") -> Json:
    return {
        "index": 0,
        "id": id,
        "type": "function",
        "function": {"name": name, "arguments": "{}"},
    }


def test_good_names_are_left_alone() -> None:
    """A request without strange names is the very same request."""
    names, notes = ToolNames(), []  # type: ToolNames, list[str]
    request = {"tools": [tool("read_file"), {"type": "custom"}], "messages": []}

    assert request is names.shorten(request, notes)
    assert not names
    assert [] == notes
    assert (
        "read_file"
        == names.restore(chunk(tool_calls=[call("read_file")]))["choices"][0]["delta"][
            "tool_calls"
        ][0]["function"]["name"]
    )


@pytest.mark.parametrize("name", [LONG, "with.dots", "with spaces", "größe", "x" * 65])
def test_names_are_shortened_and_given_back(name: str) -> None:
    """A name that Copilot refuses becomes one that it takes, everywhere, and comes back whole."""
    names, notes = ToolNames(), []  # type: ToolNames, list[str]
    request = {
        "tools": [tool("read_file"), tool(name)],
        "tool_choice": {"type": "function", "function": {"name": name}},
        "messages": [
            {"role": "user", "content": "x"},
            {"role": "assistant", "tool_calls": [call(name), call("read_file", "b")]},
        ],
    }

    sent = names.shorten(request, notes)

    short = sent["tools"][1]["function"]["name"]
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", short)
    assert short == sent["tool_choice"]["function"]["name"]
    calls = sent["messages"][1]["tool_calls"]
    assert [short, "read_file"] == [one["function"]["name"] for one in calls]
    assert [f"renamed tool {name[:80]}: {short}"] == notes
    assert name == request["tools"][1]["function"]["name"]
    answer = names.restore(chunk(tool_calls=[call(short), {"index": 0, "function": {}}]))
    assert name == answer["choices"][0]["delta"]["tool_calls"][0]["function"]["name"]
    assert chunk(content="x") == names.restore(chunk(content="x"))


def test_names_that_differ_stay_different() -> None:
    """Two long names with the same beginning do not become one."""
    sent = ToolNames().shorten({"tools": [tool(LONG + "a"), tool(LONG + "b")], "messages": []}, [])

    assert 2 == len({one["function"]["name"] for one in sent["tools"]})
