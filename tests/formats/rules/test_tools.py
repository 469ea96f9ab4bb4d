"""Tool names, call ids and arguments that a model would refuse are changed, on all three APIs."""

import json
import re
from typing import Any

import pytest

from copilot_proxy.catalogue import Model
from copilot_proxy.errors import RequestError
from copilot_proxy.formats.chat_completions.request_to_model import chat_for_model
from copilot_proxy.formats.messages.request import parse_request
from copilot_proxy.formats.messages.request_to_model import messages_for_model, messages_from_chat
from copilot_proxy.formats.messages.stream_repair import MessagesRepair, repair_message
from copilot_proxy.formats.responses.request_to_model import (
    responses_for_model,
    responses_from_chat,
)
from copilot_proxy.formats.responses.stream_repair import ResponsesRepair
from copilot_proxy.formats.rules import AdaptedBody
from copilot_proxy.formats.types import Json
from tests.formats.requests import a_model
from tests.formats.routes import claude

LONG = "mcp__a_company_with_a_long_name__" + "list_all_the_open_pull_requests_of_a_repository"
GPT = a_model("gpt-5.4", "OpenAI", supports={"streaming": True})
CLAUDE = a_model("claude-sonnet-4.5", "Anthropic", supports={"streaming": True})
HI = {"role": "user", "content": "Hi"}


def chat(name: str = "f", *, id: str = "a", arguments: str = "{}") -> Json:
    function = {"name": name, "arguments": arguments}
    return {
        "model": "m",
        "tools": [{"type": "function", "function": {"name": n}} for n in ("g", name)],
        "tool_choice": {"type": "function", "function": {"name": name}},
        "messages": [
            HI,
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": id, "type": "function", "function": function}],
            },
            {"role": "tool", "tool_call_id": id, "content": "r"},
        ],
    }


def messages(name: str = "f", *, id: str = "a", input: Any = None) -> Json:
    use = {"type": "tool_use", "id": id, "name": name, "input": input}
    return {
        "model": "m",
        "max_tokens": 100,
        "tools": [{"name": "g"}, {"name": name}],
        "tool_choice": {"type": "tool", "name": name},
        "messages": [
            HI,
            {"role": "assistant", "content": [use]},
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": id, "content": "r"}],
            },
        ],
    }


def responses(name: str = "f", *, id: str = "a", arguments: str = "{}") -> Json:
    return {
        "model": "m",
        "tools": [{"type": "function", "name": n} for n in ("g", name)],
        "tool_choice": {"type": "function", "name": name},
        "input": [
            {"role": "user", "content": "Hi"},
            {"type": "function_call", "call_id": id, "name": name, "arguments": arguments},
            {"type": "function_call_output", "call_id": id, "output": "r"},
        ],
    }


def sent(name: str, model: Model, notes: list[str]) -> list[AdaptedBody]:
    """Return a request with a tool of this name for each path to the model."""
    return [
        chat_for_model(chat(name), model, notes),
        messages_for_model(messages(name), model, notes),
        messages_from_chat(chat(name), model, notes),
        responses_for_model(responses(name), model, notes),
        responses_from_chat(chat(name), model, notes),
    ]


def names_of(body: Json) -> list[str]:
    """Return all tool names in a body: in tools, the tool choice and calls."""
    found = re.findall(r'"name": "([^"]*)"', json.dumps(body, ensure_ascii=False))
    return [name for name in found if name != "g"]


@pytest.mark.parametrize("name", [LONG, "with.dots", "with spaces", "größe", "x" * 65])
@pytest.mark.parametrize("model", [GPT, CLAUDE], ids=lambda model: model.id)
def test_names_are_shortened_everywhere(name: str, model: Model) -> None:
    """A name that Copilot refuses is replaced with a valid name, the same on every path."""
    notes: list[str] = []
    adapted = sent(name, model, notes)

    (short,) = {one for each in adapted for one in names_of(each.body)}
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", short)
    assert [3] * 5 == [len(names_of(each.body)) for each in adapted]
    assert [{short: name}] * 5 == [each.tool_names for each in adapted]
    assert {f"renamed tool {name[:80]} to {short}"} == {n for n in notes if n.startswith("renamed")}


def test_valid_names_are_not_changed() -> None:
    """Valid names are passed on unchanged."""
    assert [{}] * 5 == [each.tool_names for each in sent("read_file", GPT, [])]


def test_different_names_stay_different() -> None:
    """Two long names with the same beginning get different new names."""
    tools = [{"type": "function", "function": {"name": LONG + end}} for end in "ab"]
    adapted = chat_for_model({"model": "m", "messages": [HI], "tools": tools}, GPT, [])

    assert 2 == len(adapted.tool_names)


def test_several_allowed_tools_are_renamed() -> None:
    """The tools in a tool choice are renamed like the tools themselves."""
    allowed = [{"type": "function", "function": {"name": LONG}}]
    choice = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": allowed}}
    adapted = chat_for_model({**chat(LONG), "tool_choice": choice}, GPT, [])

    assert 1 == len(set(names_of(adapted.body)))


def test_messages_restore_the_names() -> None:
    """Claude's streams and whole responses contain the client's tool name."""
    block = {"type": "tool_use", "id": "a", "name": "short", "input": {}}
    start = {"type": "content_block_start", "index": 0, "content_block": block}
    stream = MessagesRepair("r", {"short": LONG})

    assert LONG == stream.feed(start)[-1]["content_block"]["name"]
    assert "short" == block["name"]
    assert LONG == repair_message({"content": [block]}, {"short": LONG})["content"][0]["name"]


def test_responses_restore_the_names() -> None:
    """Items, argument events and the final response contain the client's tool name."""
    stream = ResponsesRepair(responses(LONG), {"short": LONG})
    item = {"type": "function_call", "id": "1", "call_id": "a", "name": "short", "arguments": "{}"}
    last = {"id": "r", "status": "completed", "output": [item], "tools": [{"name": "short"}]}
    events = [
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.function_call_arguments.done", "output_index": 0, "name": "short",
         "arguments": "{}", "item_id": "1"},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": last},
    ]  # fmt: skip
    out = [one for event in events for one in stream.feed(event)]

    assert "short" not in json.dumps(out)
    assert LONG == out[0]["item"]["name"] == out[1]["name"] == out[2]["item"]["name"]
    assert LONG == out[3]["response"]["output"][0]["name"]


@pytest.mark.parametrize(
    ("id", "model", "fits"),
    [
        ("functions.read:0", CLAUDE, [False, False, False]),
        ("functions.read:0", GPT, [True, True]),
        ("x" * 41, GPT, [False, True]),
        ("x" * 65, GPT, [False, False]),
        ("x" * 65, CLAUDE, [True, True, True]),
        ("", CLAUDE, [False, False, False]),
        ("toolu_01-a", CLAUDE, [True, True, True]),
    ],
)
def test_ids_fit_the_model(id: str, model: Model, fits: list[bool]) -> None:
    """A valid id is kept; an invalid id is replaced in both the call and its result."""
    bodies = [chat_for_model(chat(id=id), model, []).body]
    if model is CLAUDE:
        bodies.append(messages_for_model(messages(id=id), model, []).body)
        bodies.append(messages_from_chat(chat(id=id), model, []).body)
    else:
        bodies.append(responses_for_model(responses(id=id), model, []).body)

    found = [ids_of(body) for body in bodies]
    assert [2] * len(bodies) == [len(ids) for ids in found]
    assert [1] * len(bodies) == [len(set(ids)) for ids in found]
    assert fits == [ids[0] == id for ids in found]
    if model is CLAUDE:
        assert all(re.fullmatch(r"[a-zA-Z0-9_-]+", ids[0]) for ids in found)
    else:
        assert [True, True] == [len(found[0][0]) <= 40, len(found[1][0]) <= 64]


def ids_of(body: Json) -> list[str]:
    """Return the ids of calls and results."""
    return re.findall(r'"(?:id|call_id|tool_call_id|tool_use_id)": "([^"]*)"', json.dumps(body))


def test_different_ids_stay_different() -> None:
    """Ids that differ only in invalid characters stay different, in every request."""
    first = [
        ids_of(chat_for_model(chat(id=id), CLAUDE, []).body)[0] for id in ("a:1", "a_1", "a.1")
    ]
    again = [
        ids_of(chat_for_model(chat(id=id), CLAUDE, []).body)[0] for id in ("a:1", "a_1", "a.1")
    ]

    assert 3 == len(set(first))
    assert first == again


BROKEN = "changed the arguments of an earlier tool call: they are not valid JSON"
ODD = "changed the arguments of an earlier tool call: they are not an object"


@pytest.mark.parametrize(
    ("text", "gpt", "claude"),
    [
        ("{}", None, {}),
        (' {"a": 1}', None, {"a": 1}),
        ("", {}, {}),
        (" ", {}, {}),
        ('{"a": 1', {"INVALID_JSON": '{"a": 1'}, {"INVALID_JSON": '{"a": 1'}),
        ("[" * 6000, {"INVALID_JSON": "[" * 6000}, {"INVALID_JSON": "[" * 6000}),
        ("42", None, {"INVALID_JSON": "42"}),
        ("null", None, {}),
        ("[]", None, {"INVALID_JSON": "[]"}),
        ('"x"', None, {"INVALID_JSON": '"x"'}),
    ],
)
def test_arguments_that_are_refused(text: str, gpt: Json | None, claude: Json) -> None:
    """Invalid arguments of earlier calls are sent inside an object."""
    for body in (
        chat_for_model(chat(arguments=text), GPT, []).body,
        responses_for_model(responses(arguments=text), GPT, []).body,
    ):
        turns = body.get("messages") or body["input"]
        call = turns[1]["tool_calls"][0]["function"] if "messages" in body else turns[1]
        if gpt is None:
            assert text == call["arguments"]
        else:
            assert gpt == json.loads(call["arguments"])
    function = chat_for_model(chat(arguments=text), CLAUDE, []).body["messages"][1]
    assert claude == json.loads(function["tool_calls"][0]["function"]["arguments"])
    translated = messages_from_chat(chat(arguments=text), CLAUDE, []).body["messages"][1]
    assert claude == translated["content"][0]["input"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"a": 1}, {"a": 1}),
        (None, {}),
        ('{"a": 1}', {"a": 1}),
        ('{"a": 1', {"INVALID_JSON": '{"a": 1'}),
        ([1], {"INVALID_JSON": "[1]"}),
        (4, {"INVALID_JSON": "4"}),
    ],
)
def test_inputs_of_messages_that_are_not_objects(given: Any, expected: Json) -> None:
    """On Messages, an input that is not an object is wrapped in one."""
    notes: list[str] = []
    body = messages_for_model(messages(input=given), CLAUDE, notes).body

    assert expected == body["messages"][1]["content"][0]["input"]
    assert ([ODD] if "INVALID_JSON" in expected else []) == notes


def test_a_schema_with_hundreds_of_levels() -> None:
    """A schema that is too deep for the rules gets the same error as one too deep to decode."""
    levels = 450
    schema = '{"type": "object", "properties": {"a": ' + '{"anyOf": [' * levels + "{}"
    schema += "]}" * levels + "}}"
    output = f'"output_config": {{"format": {{"type": "json_schema", "schema": {schema}}}}}'
    body = '{"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}], '

    with pytest.raises(RequestError, match="nested too deeply"):
        messages_for_model(parse_request(f"{body}{output}}}".encode()), claude("claude-opus-5"), [])
