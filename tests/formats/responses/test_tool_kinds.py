"""Which kinds of tools each model receives, and what reaches the client."""

from typing import Any

import pytest

from copilot_proxy.catalogue import Model
from copilot_proxy.errors import RequestError
from copilot_proxy.formats.model_profiles import profile_of
from copilot_proxy.formats.responses.request_from_chat import from_chat
from copilot_proxy.formats.responses.request_to_chat import to_chat
from copilot_proxy.formats.responses.request_to_model import (
    responses_for_model,
    responses_from_chat,
)
from copilot_proxy.formats.tool_checks import MAX_TOOLS
from copilot_proxy.formats.types import Json
from tests.formats.answers import call, calling, event
from tests.formats.answers import repair as chat_chunks
from tests.formats.responses.answers import Upstream, read_strictly, repair, request, write
from tests.formats.responses.models import GPT, NEW, OLD, PLAIN, model

SCHEMA: Json = {"type": "object", "properties": {}}
GRAMMAR: Json = {"type": "grammar", "syntax": "lark", "definition": "start: x"}
FUNCTION: Json = {"type": "function", "name": "f", "parameters": SCHEMA, "strict": False}
CUSTOM: Json = {"type": "custom", "name": "exec", "format": GRAMMAR}
DEFERRED: Json = {**FUNCTION, "name": "phase", "defer_loading": True}
MOON: Json = {
    "type": "namespace",
    "name": "mcp__moon",
    "description": "The moon.",
    "tools": [DEFERRED, CUSTOM],
}
SEARCH: Json = {"type": "tool_search"}
ADDED: Json = {"type": "additional_tools", "role": "developer", "tools": [FUNCTION]}
USER: Json = {"role": "user", "content": "Hi"}
CALLS: list[Json] = [
    {"type": "function_call", "call_id": "a", "name": "phase", "namespace": "mcp__moon",
     "arguments": "{}"},
    {"type": "function_call_output", "call_id": "a", "output": "full"},
    {"type": "custom_tool_call", "call_id": "b", "name": "exec", "namespace": "mcp__moon",
     "input": "ls"},
    {"type": "custom_tool_call_output", "call_id": "b", "output": "done"},
]  # fmt: skip
CODEX = model("gpt-5.3-codex", streaming=True)
GROK = model("grok-4.7", "xAI", streaming=True)


def body_of(given: Any, to: Model | None, **fields: Any) -> Json:
    return responses_for_model(request(given, **fields), to, []).body


def kinds(body: Json) -> list[str]:
    return [tool["type"] for tool in body["tools"]]


@pytest.mark.parametrize(
    ("to", "tools", "lifted"),
    [
        (None, ["custom", "namespace", "tool_search"], False),
        (PLAIN, ["function"] * 3, True),
        (NEW, ["custom", "namespace", "tool_search"], False),
        (model("gpt-7-nova"), ["custom", "namespace", "tool_search"], False),
        (model("gpt-6-sol"), ["custom", "namespace", "tool_search"], True),
        (GPT, ["custom", "namespace", "tool_search"], True),
        (model("gpt-5.6-luna"), ["custom", "namespace", "tool_search"], True),
        (CODEX, ["custom", "function", "custom"], True),
        (model("gpt-5.4", tool_search=False), ["custom", "namespace"], True),
        (OLD, ["function"] * 3, True),
        (model("o4-mini"), ["function"] * 3, True),
        (GROK, ["function"] * 3, True),
        (model("mai-code-2", "Microsoft"), ["function"] * 3, True),
        (model("kimi-k3", "Moonshot AI"), ["function"] * 3, True),
    ],
    ids=lambda value: value.id if isinstance(value, Model) else None,
)
def test_a_model_gets_the_kinds_that_it_takes(
    to: Model | None, tools: list[str], lifted: bool
) -> None:
    """Kinds of tools that the model supports are passed on; all others become functions."""
    body = body_of([ADDED, USER], to, tools=[CUSTOM, MOON, SEARCH])

    assert [*tools, *(["function"] if lifted else [])] == kinds(body)
    assert ([USER] if lifted else [ADDED, USER]) == body["input"]
    if "tool_search" in tools:
        assert [CUSTOM, MOON, SEARCH] == [t for t in body["tools"] if t.get("name") != "f"]
    else:
        assert "defer_loading" not in str(body)


def test_calls_are_passed_on_unchanged() -> None:
    """Earlier calls keep their type and namespace."""
    assert [USER, *CALLS] == body_of([USER, *CALLS], GPT, tools=[MOON])["input"]


def test_calls_become_calls_of_functions() -> None:
    """Earlier calls get the names and format of the functions that replace the tools."""
    body = body_of([USER, *CALLS], OLD, tools=[MOON])

    assert [
        {"type": "function_call", "call_id": "a", "name": "mcp__moon__phase", "arguments": "{}"},
        CALLS[1],
        {"type": "function_call", "call_id": "b", "name": "mcp__moon__exec",
         "arguments": '{"input":"ls"}'},
        {**CALLS[3], "type": "function_call_output"},
    ] == body["input"][1:]  # fmt: skip


def test_a_namespace_describes_its_tools_once() -> None:
    """The description of a namespace is added to its first tool only."""
    body = body_of("Hi", OLD, tools=[MOON])

    about = "About all the mcp__moon tools: The moon."
    assert [about, None] == [tool.get("description") for tool in body["tools"]]


def test_names_never_collide() -> None:
    """Tools with the same joined name get different names, and calls reach the right tool."""
    tools = [{**FUNCTION, "name": "n__f"}, {**MOON, "name": "n", "tools": [FUNCTION]}]
    called = {"type": "function_call", "call_id": "a", "name": "f", "namespace": "n",
              "arguments": "{}"}  # fmt: skip

    body = body_of([USER, called], OLD, tools=tools)

    first, second = (tool["name"] for tool in body["tools"])
    assert ("n__f", second) == (first, body["input"][1]["name"])
    assert first != second
    up = Upstream()
    events = repair(up.whole(up.call(0, second, "{}")), request(tools=tools))
    found = read_strictly(events).output[0].to_dict()
    assert ("n", "f") == (found["namespace"], found["name"])


def test_long_names_are_restored() -> None:
    """A joined name longer than 64 characters is shortened, and restored in the response."""
    tools = [{"type": "namespace", "name": "n" * 40, "tools": [{**FUNCTION, "name": "f" * 40}]}]
    asked = request(tools=tools)

    adapted = responses_for_model(asked, OLD, [])

    (short,) = (tool["name"] for tool in adapted.body["tools"])
    assert 64 == len(short)
    assert {short: "n" * 40 + "__" + "f" * 40} == adapted.tool_names


@pytest.mark.parametrize("to", [GPT, OLD])
def test_allowed_tools_reduce_the_tools(to: Model) -> None:
    """Only allowed tools are offered, including tools in a namespace."""
    choice = {
        "type": "allowed_tools",
        "mode": "required",
        "tools": [{"type": "function", "name": "phase", "namespace": "mcp__moon"}],
    }
    body = body_of("Hi", to, tools=[FUNCTION, MOON], tool_choice=choice)

    assert "required" == body["tool_choice"]
    (tool,) = body["tools"]
    names = [one["name"] for one in tool.get("tools", [tool])]
    assert (["phase"] if to is GPT else ["mcp__moon__phase"]) == names


def test_allowed_tools_must_exist() -> None:
    """A tool choice that allows no tool is refused."""
    choice = {"type": "allowed_tools", "mode": "auto", "tools": [{**FUNCTION, "name": "gone"}]}
    with pytest.raises(RequestError) as caught:
        body_of("Hi", GPT, tools=[FUNCTION], tool_choice=choice)

    assert "tool_choice" == caught.value.param


def test_too_many_tools_are_refused() -> None:
    """Tools are counted as Copilot counts them: a namespace is one tool unless it is flattened."""
    many = [{**FUNCTION, "name": f"f{i}"} for i in range(MAX_TOOLS + 1)]
    tools = [{"type": "namespace", "name": "n", "tools": many}]

    assert 1 == len(body_of("Hi", GPT, tools=tools)["tools"])
    for refuse in (
        lambda: body_of("Hi", GPT, tools=many),
        lambda: body_of("Hi", OLD, tools=tools),
        lambda: to_chat(request(tools=tools), []),
    ):
        with pytest.raises(RequestError) as caught:
            refuse()
        assert ("tools", "array_above_max_length") == (caught.value.param, caught.value.code)


@pytest.mark.parametrize("kind", ["shell", "local_shell", "apply_patch", "later_invention"])
def test_other_tools_are_never_lost(kind: str) -> None:
    """A tool of another type is passed on, or refused if it has no equivalent."""
    assert [{"type": kind}] == body_of("Hi", GPT, tools=[{"type": kind}])["tools"]
    with pytest.raises(RequestError) as caught:
        to_chat(request(tools=[FUNCTION, {"type": kind}]), [])

    assert "tools[1].type" == caught.value.param


CHAT: Json = {
    "model": "m",
    "messages": [
        USER,
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "a", "type": "custom", "custom": {"name": "exec", "input": "ls"}}
            ],
        },
        {"role": "tool", "tool_call_id": "a", "content": "done"},
    ],
    "tools": [
        {
            "type": "custom",
            "custom": {
                "name": "exec",
                "format": {
                    "type": "grammar",
                    "grammar": {"syntax": "lark", "definition": "start: x"},
                },
            },
        }
    ],
    "tool_choice": {"type": "custom", "custom": {"name": "exec"}},
}
CALLED: Json = {"type": "custom_tool_call", "call_id": "a", "name": "exec", "input": "ls"}
ANSWERED: Json = {"type": "custom_tool_call_output", "call_id": "a", "output": "done"}


def test_custom_tools_of_a_chat_client() -> None:
    """A chat client's custom tools and calls get the Responses format, with their grammar."""
    body = responses_from_chat(CHAT, GPT, []).body

    assert ([CUSTOM], [CALLED, ANSWERED]) == (body["tools"], body["input"][1:])
    assert {"type": "custom", "name": "exec"} == body["tool_choice"]


def test_custom_tools_of_a_chat_client_become_functions() -> None:
    """For a model that accepts only functions, custom tools become functions."""
    body = responses_from_chat(CHAT, GROK, []).body

    assert ["function"] == kinds(body)
    assert ["function_call", "function_call_output"] == [i["type"] for i in body["input"][1:]]
    assert {"type": "function", "name": "exec"} == body["tool_choice"]


def test_custom_calls_survive_the_round_trip() -> None:
    """A Responses request with custom calls survives translation to a chat request and back."""
    asked = request([USER, CALLED, ANSWERED], tools=[CUSTOM], tool_choice={**CUSTOM})

    again = from_chat(to_chat(asked, []), profile_of(GPT, "responses"), [])

    assert (asked["input"][1:], asked["tools"]) == (again["input"][1:], again["tools"])


def test_a_missing_result_has_the_type_of_its_call() -> None:
    """Calls of every kind are paired with a result of the right type."""
    search: Json = {
        "type": "tool_search_call",
        "call_id": "s",
        "execution": "client",
        "arguments": {},
    }
    body = body_of([USER, CALLS[2], search], GPT, tools=[MOON])

    types = [item.get("type") for item in body["input"]]
    assert ["custom_tool_call_output", "tool_search_output"] == [types[2], types[4]]
    assert ("b", "s") == (body["input"][2]["call_id"], body["input"][4]["call_id"])


def test_long_ids_of_custom_calls_are_shortened() -> None:
    """The ids of all kinds of calls and results fit the model."""
    long = "x" * 70
    given = [USER, {**CALLED, "call_id": long}, {**ANSWERED, "call_id": long}]

    first, second = body_of(given, GPT, tools=[CUSTOM])["input"][1:]

    assert first["call_id"] == second["call_id"]
    assert 64 == len(first["call_id"])


def native(*pieces: str, **item: Any) -> list[Json]:
    """Return the events of a call by a model that knows custom tools."""
    up = Upstream()
    whole = {"type": "custom_tool_call", "call_id": "a", "name": "exec", **item}
    base, text = "response.custom_tool_call_input", "".join(pieces)
    at = {"output_index": 0, "item_id": up.id()}
    return up.whole(
        [
            up.added(0, {**whole, "input": ""}),
            *({"type": f"{base}.delta", **at, "delta": piece} for piece in pieces),
            {"type": f"{base}.done", **at, "input": text},
            up.done(0, {**whole, "input": text}),
        ]
    )


def test_native_calls_reach_the_client() -> None:
    """A custom call by the model is passed on, with its namespace and one id."""
    events = repair(native("l", "s", namespace="mcp__moon"), request(tools=[MOON]))

    found = read_strictly(events).output[0].to_dict()
    assert ("custom_tool_call", "exec", "mcp__moon", "ls") == (
        found["type"], found["name"], found["namespace"], found["input"],
    )  # fmt: skip
    assert str(found["id"]).startswith("ctc_")
    assert ["l", "s"] == [e["delta"] for e in events if e["type"].endswith("input.delta")]


def test_a_native_call_in_a_namespace_is_not_another_tool() -> None:
    """A call belongs to the tool in its namespace, even if another tool has the same name."""
    up = Upstream()
    item = {"type": "function_call", "call_id": "a", "name": "exec", "arguments": "{}",
            "namespace": "n"}  # fmt: skip
    stream = up.whole([up.added(0, {**item, "arguments": ""}), up.done(0, item)])

    events = repair(stream, request(tools=[CUSTOM]))

    found = read_strictly(events).output[0].to_dict()
    assert ("function_call", "n") == (found["type"], found["namespace"])


def test_hosted_searches_reach_the_client() -> None:
    """Searches that the model ran are passed on, with stable ids."""
    up = Upstream()
    search: Json = {"type": "tool_search_call", "execution": "server", "call_id": None,
              "status": "completed", "arguments": {"paths": ["mcp__moon"]}}  # fmt: skip
    found: Json = {"type": "tool_search_output", "execution": "server", "call_id": None,
             "status": "completed", "tools": [FUNCTION]}  # fmt: skip
    items = [event for i, item in enumerate((search, found))
             for event in (up.added(i, item), up.done(i, item))]  # fmt: skip

    events = repair(up.whole(items), request(tools=[SEARCH, MOON]))

    output = read_strictly(events).output
    assert ["tsc", "tso"] == [str(item.to_dict()["id"]).split("_")[0] for item in output]


def test_input_of_a_function_arrives_in_pieces() -> None:
    """If a function replaces a custom tool, the tool's input is streamed on either API."""
    up = Upstream()
    asked = request(tools=[CUSTOM])
    ways = [
        repair(up.whole(up.call(0, "exec", '{"input":"l', 's"}')), asked),
        write(
            chat_chunks(
                [calling(call("a", "exec", '{"input":"l')), calling(call(arguments='s"}')),
                 event("tool_calls")],
                custom_tools={"exec"},
            ),
            asked,
        )[0],
    ]  # fmt: skip
    for events in ways:
        assert "ls" == read_strictly(events).output[0].to_dict()["input"]
        assert ["l", "s"] == [e["delta"] for e in events if e["type"].endswith("input.delta")]
        assert ["ls"] == [e["input"] for e in events if e["type"].endswith("input.done")]
