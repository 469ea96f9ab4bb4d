"""Tool searches that the client runs, as the Codex CLI does for the tools of MCP servers."""

from typing import Any

import pytest

from copilot_proxy.formats.responses.request_to_chat import to_chat
from copilot_proxy.formats.responses.request_to_model import responses_for_model
from copilot_proxy.formats.rules.tool_kinds import FLATTENED
from copilot_proxy.formats.types import Json
from tests.formats.answers import call, calling, event
from tests.formats.answers import repair as chat_chunks
from tests.formats.responses.answers import Upstream, read_strictly, repair, request, write
from tests.formats.responses.models import GPT, OLD

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
NAMED: Json = {**FOUND, "description": FOUND["name"]}
"""The tool as Copilot receives it, since a namespace must have a description."""
SUN: Json = {
    "type": "function",
    "name": "sun",
    "description": "The sun's.",
    "defer_loading": True,
    "parameters": PARAMETERS,
}
MOON_CALL: Json = {
    "type": "function_call",
    "call_id": "c1",
    "name": "phase",
    "namespace": "mcp__moon",
    "arguments": "{}",
}
USER: Json = {"type": "message", "role": "user", "content": "Hi"}
TEXT = '{"tools":[{"name":"mcp__moon__phase","description":"The moon\'s."}]}'
FUNCTIONS = [
    ("tool_search", "Finds tools.", PARAMETERS),
    ("mcp__moon__phase", "The moon's.", PARAMETERS),
]


def searched(*more: Json) -> Json:
    """Return a request from a client that has searched, and may search again."""
    return request([USER, CALL, OUTPUT, *more], tools=[SEARCH])


def test_models_that_search_get_everything() -> None:
    """The search, its call and its output are passed on to models that support them."""
    notes: list[str] = []

    body = responses_for_model(searched(), GPT, notes).body

    call = {name: value for name, value in CALL.items() if name != "id"}
    output = {**OUTPUT, "tools": [NAMED]}
    assert ([SEARCH], [USER, call, output], []) == (body["tools"], body["input"], notes)


def test_other_models_get_functions() -> None:
    """The search and the tools that it found become functions, each only once."""
    notes: list[str] = []
    again = [{**CALL, "call_id": "c2"}, {**OUTPUT, "call_id": "c2"}]

    body = responses_for_model(searched(*again), OLD, notes).body

    assert [FLATTENED] == notes
    tools = body["tools"]
    assert FUNCTIONS == [(t["name"], t["description"], t["parameters"]) for t in tools]
    assert all("defer_loading" not in tool for tool in tools)
    arguments = '{"query":"moon"}'
    assert [
        {"type": "function_call", "call_id": "c1", "name": "tool_search", "arguments": arguments},
        {"type": "function_call_output", "call_id": "c1", "output": TEXT},
    ] == body["input"][1:3]


@pytest.mark.parametrize(
    ("items", "choice", "offered"),
    [
        ([], None, []),
        ([CALL, OUTPUT], None, ["mcp__moon__phase"]),
        ([MOON_CALL], None, ["mcp__moon__phase"]),
        ([], {"type": "function", "name": "sun"}, ["sun"]),
        ([{**CALL, "namespace": {}}, {**OUTPUT, "tools": [SUN]}], None, ["sun"]),
    ],
)
def test_deferred_tools_are_offered_once_they_are_found(
    items: list[Json], choice: Json | None, offered: list[str]
) -> None:
    """A deferred tool is offered if the client's search found it, or if it was called."""
    given = request([USER, *items], tools=[SEARCH, FOUND, SUN], tool_choice=choice)
    old: list[str] = []
    other: list[str] = []

    body = responses_for_model(given, OLD, old).body
    chat = to_chat(given, other)

    assert ["tool_search", *offered] == [tool["name"] for tool in body["tools"]]
    assert ["tool_search", *offered] == [tool["function"]["name"] for tool in chat["tools"]]
    left = "a deferred tool" if offered else "2 deferred tools"
    assert f"dropped {left}: not found yet by the client's search" in old
    assert f"dropped {left}: not found yet by the client's search" in other


def test_models_of_other_apis_get_functions() -> None:
    """Models of other APIs also get functions for the search and the tools that it found."""
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
    """The client receives calls of its search and of the tools that it found, in its own format."""
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
    """Calls from models of other APIs get the same format; incomplete arguments start no search."""
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


SERVER: Json = {"type": "tool_search"}
FOUND_BY_SERVER: list[Json] = [
    {"type": "tool_search_call", "execution": "server", "arguments": {"paths": ["mcp__moon"]}},
    {"type": "tool_search_output", "execution": "server", "tools": [FOUND]},
]


def test_models_that_search_by_themselves_do() -> None:
    """Deferred tools stay deferred, and tools that the model found are passed on."""
    notes: list[str] = []
    given = [USER, *({**item, "id": "x", "call_id": None} for item in FOUND_BY_SERVER)]

    body = responses_for_model(request(given, tools=[SERVER, FOUND]), GPT, notes).body

    assert ([SERVER, NAMED], []) == (body["tools"], notes)
    assert [USER, FOUND_BY_SERVER[0], {**FOUND_BY_SERVER[1], "tools": [NAMED]}] == body["input"]


def test_models_that_cannot_search_get_all_tools() -> None:
    """If the model cannot search, all tools are offered from the start."""
    given = request([USER, *FOUND_BY_SERVER], tools=[SERVER, FOUND])
    note = "dropped tool_search: Copilot does not run it for the model, so the model gets all tools"

    old: list[str] = []
    body = responses_for_model(given, OLD, old).body
    other: list[str] = []
    chat = to_chat(given, other)

    assert [note, FLATTENED] == old == other
    assert ([USER], [{"role": "user", "content": "Hi"}]) == (body["input"], chat["messages"])
    assert ["mcp__moon__phase"] == [tool["name"] for tool in body["tools"]]
    assert "defer_loading" not in body["tools"][0]
    assert ["mcp__moon__phase"] == [tool["function"]["name"] for tool in chat["tools"]]
