"""Tool searches that the client runs, as the Codex CLI does for the tools of MCP servers."""

from typing import Any

import pytest

from copilot_proxy.formats.responses.request_to_chat import to_chat
from copilot_proxy.formats.responses.request_to_model import responses_for_model
from copilot_proxy.formats.types import Json
from tests.formats.answers import call, calling, event
from tests.formats.answers import repair as chat_chunks
from tests.formats.responses.answers import Upstream, read_strictly, repair, request, write
from tests.formats.responses.models import GPT

PARAMETERS = {"type": "object", "properties": {"query": {"type": "string"}}}
SEARCH: Json = {
    "type": "tool_search",
    "execution": "client",
    "description": "Finds tools.",
    "parameters": PARAMETERS,
}
FOUND: Json = {
    "type": "namespace",
    "name": "mcp__moon",
    "tools": [
        {
            "type": "function",
            "name": "phase",
            "description": "The moon's.",
            "defer_loading": True,
            "parameters": PARAMETERS,
        }
    ],
}
CALL: Json = {
    "type": "tool_search_call",
    "id": "tsc_1",
    "call_id": "c1",
    "execution": "client",
    "status": "completed",
    "arguments": {"query": "moon"},
}
OUTPUT: Json = {
    "type": "tool_search_output",
    "call_id": "c1",
    "execution": "client",
    "status": "completed",
    "tools": [FOUND],
}
USER: Json = {"type": "message", "role": "user", "content": "Hi"}
TEXT = '{"tools":[{"name":"mcp__moon__phase","description":"The moon\'s."}]}'
FUNCTIONS = [
    ("tool_search", "Finds tools.", PARAMETERS),
    ("mcp__moon__phase", "The moon's.", PARAMETERS),
]


def searched(*more: Json) -> Json:
    """Return the request of a client that has searched, and may search again."""
    return request([USER, CALL, OUTPUT, *more], tools=[SEARCH])


def test_copilot_gets_functions() -> None:
    """The search and the tools that it found become functions, each of them once."""
    notes: list[str] = []
    again = [{**CALL, "call_id": "c2"}, {**OUTPUT, "call_id": "c2"}]

    body = responses_for_model(searched(*again), GPT, notes).body

    assert [] == notes
    tools = body["tools"]
    assert FUNCTIONS == [(t["name"], t["description"], t["parameters"]) for t in tools]
    assert all("defer_loading" not in tool for tool in tools)
    arguments = '{"query":"moon"}'
    assert [
        {"type": "function_call", "call_id": "c1", "name": "tool_search", "arguments": arguments},
        {"type": "function_call_output", "call_id": "c1", "output": TEXT},
    ] == body["input"][1:3]


def test_the_hub_gets_functions() -> None:
    """The same is true for models of other APIs."""
    chat = to_chat(searched(), [])

    functions = [tool["function"] for tool in chat["tools"]]
    assert FUNCTIONS == [(f["name"], f["description"], f["parameters"]) for f in functions]
    _, call, result = chat["messages"]
    assert "tool_search" == call["tool_calls"][0]["function"]["name"]
    assert ("tool", "c1", TEXT) == (result["role"], result["tool_call_id"], result["content"])


def check(output: list[Any]) -> None:
    search, moon = (item.to_dict() for item in output)
    assert ("tool_search_call", "client", {"query": "moon"}) == (
        search["type"],
        search["execution"],
        search["arguments"],
    )
    assert search["id"].startswith("tsc_")
    assert ("function_call", "mcp__moon", "phase") == (
        moon["type"],
        moon["namespace"],
        moon["name"],
    )


def test_calls_of_a_native_model() -> None:
    """The client gets calls of its search and of the found tools in its own form."""
    up = Upstream()
    sent = up.whole(
        [
            *up.call(0, "tool_search", '{"query":', '"moon"}'),
            *up.call(1, "mcp__moon__phase", "{}"),
        ]
    )

    events = repair(sent, searched())

    check(read_strictly(events).output)
    about = [event["type"] for event in events if event.get("output_index") == 0]
    assert ["response.output_item.added", "response.output_item.done"] == about


@pytest.mark.parametrize(("arguments", "query"), [('{"query":"moon"}', "moon"), ('{"que', None)])
def test_calls_through_the_hub(arguments: str, query: str | None) -> None:
    """Calls from models of other APIs have that form, too; cut arguments search for nothing."""
    calls = calling(
        call("c1", "tool_search", arguments, index=0),
        call("c2", "mcp__moon__phase", "{}", index=1),
    )

    events, response = write(chat_chunks([calls, event("tool_calls")]), searched())

    if query:
        check(read_strictly(events).output)
    search = response["output"][0]
    assert ({"query": query} if query else {}) == search["arguments"]
    assert ("c1", "completed") == (search["call_id"], search["status"])


def test_a_server_side_search_is_dropped() -> None:
    """Neither Copilot nor this server searches for tools."""
    notes: list[str] = []
    server = {"type": "tool_search", "execution": "server"}
    item = {**CALL, "call_id": None, "execution": "server"}

    body = responses_for_model(request([USER, item], tools=[server]), GPT, notes).body

    assert "tools" not in body
    assert [USER] == body["input"]
    assert 2 == len(notes)
