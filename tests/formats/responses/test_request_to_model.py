"""Responses requests are adapted to Copilot's Responses API."""

import json
from typing import Any

import pytest

from copilot_proxy.catalogue import Model
from copilot_proxy.errors import RequestError
from copilot_proxy.formats.request_fields import drop_fields
from copilot_proxy.formats.responses.request_from_chat import ENCRYPTED
from copilot_proxy.formats.responses.request_to_model import responses_for_model
from copilot_proxy.formats.rules.tool_kinds import FLATTENED
from copilot_proxy.formats.types import Json
from tests.formats.responses.answers import request
from tests.formats.responses.models import GPT, OLD, PLAIN

BASE = {"store": False, "include": [ENCRYPTED]}
FUNCTION = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}
NAMED = {"type": "function", "name": "g"}
USER = {"type": "message", "role": "user", "content": "Hi"}


def prepared(model: Model | None = GPT, given: Any = "Hi", **fields: Any) -> tuple[Json, list[str]]:
    """Return the upstream request without its constant fields, and the notes."""
    notes: list[str] = []
    asked = request(given, **fields)
    before = repr(asked)
    taken = drop_fields("responses", asked, notes)
    body = responses_for_model(taken, model, notes).body
    assert before == repr(asked), "the client's request was changed"
    assert BASE == {name: body.pop(name) for name in BASE}
    assert (model.id if model else asked["model"]) == body.pop("model")
    return body, notes


def test_a_supported_request_is_unchanged() -> None:
    """A request that Copilot supports is passed on unchanged."""
    fields: Json = {
        "instructions": "Be brief.",
        "stream": True,
        "tools": [{**FUNCTION, "strict": True, "description": "F."}],
        "tool_choice": {"type": "function", "name": "f"},
        "parallel_tool_calls": False,
        "max_output_tokens": 16,
        "reasoning": {"effort": "high", "summary": "auto"},
        "text": {"format": {"type": "text"}, "verbosity": "low"},
        "truncation": "auto",
        "prompt_cache_key": "k",
        "user": "u",
        "context_management": [{"type": "compaction", "compact_threshold": 9}],
    }

    assert ({"input": "Hi", **fields}, []) == prepared(**fields)


def test_supported_items_are_unchanged() -> None:
    """Items that Copilot supports are passed on unchanged."""
    items: list[Json] = [
        {"role": "user", "content": [{"type": "input_text", "text": " "}]},
        {"type": "function_call", "call_id": "x" * 64, "name": "f", "arguments": "42"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": ""}]},
        {"type": "function_call_output", "call_id": "x" * 64, "output": ""},
    ]

    body, notes = prepared(given=items)

    assert json.dumps(items) == json.dumps(body["input"])
    assert [] == notes


@pytest.mark.parametrize(
    ("fields", "left", "notes"),
    [
        ({"service_tier": "flex"}, {}, ["dropped service_tier: Copilot refuses it"]),
        ({"service_tier": "auto"}, {}, []),
        ({"store": True, "previous_response_id": "resp_1"}, {}, []),
        ({"store": False, "background": False, "metadata": {}}, {}, []),
        (
            {"metadata": {"a": "b"}},
            {},
            ["dropped metadata: it is only repeated in the response, since Copilot stores nothing"],
        ),
        ({"safety_identifier": "x"}, {}, ["dropped safety_identifier: Copilot refuses it"]),
        ({"client_metadata": {}}, {}, ["dropped client_metadata: Copilot does not accept it"]),
        ({"temperature": None, "made_up": None}, {}, []),
        ({"stream_options": {"include_obfuscation": False}}, {}, []),
        ({"stream": False}, {"stream": False}, []),
        (
            {"max_output_tokens": 5},
            {"max_output_tokens": 16},
            ["changed max_output_tokens from 5 to 16: the minimum"],
        ),
        (
            {"include": [ENCRYPTED, "message.output_text.logprobs"]},
            {},
            ["dropped include message.output_text.logprobs: Copilot does not support it"],
        ),
        (
            {"temperature": 0.5, "top_p": 1},
            {},
            ["dropped temperature: the model accepts only its default"],
        ),
        (
            {"reasoning": {"effort": "max", "summary": None}},
            {"reasoning": {"effort": "high"}},
            [
                "changed reasoning.effort from max to high: the nearest value that the model "
                "supports"
            ],
        ),
        ({"reasoning": {"effort": "made_up"}}, {"reasoning": {"effort": "made_up"}}, []),
        ({"reasoning": {"effort": None}}, {}, []),
        ({"parallel_tool_calls": True}, {}, []),
        ({"tools": [], "tool_choice": "auto"}, {}, []),
    ],
)
def test_unsupported_fields_are_dropped(fields: Json, left: Json, notes: list[str]) -> None:
    """Fields that Copilot would refuse are dropped, with a note for each that matters."""
    assert ({"input": "Hi", **left}, notes) == prepared(**fields)


@pytest.mark.parametrize(
    ("fields", "left", "notes"),
    [
        ({"temperature": 0.5, "top_p": 0.1}, {"temperature": 0.5, "top_p": 0.1}, []),
        ({"stream": True}, {"stream": False}, []),
        (
            {"reasoning": {"effort": "low"}},
            {},
            ["dropped reasoning.effort: the model does not support it"],
        ),
        (
            {"tools": [FUNCTION], "parallel_tool_calls": True},
            {"tools": [FUNCTION]},
            ["dropped parallel_tool_calls: the model does not support it"],
        ),
    ],
)
def test_fields_fit_the_model(fields: Json, left: Json, notes: list[str]) -> None:
    """Fields are limited to the model's capabilities in the catalogue."""
    assert ({"input": "Hi", **left}, notes) == prepared(PLAIN, **fields)


def test_an_unknown_model_gets_all_fields() -> None:
    """Without the catalogue, only the changes that every model needs are made."""
    fields: Json = {
        "temperature": 0.5,
        "stream": True,
        "reasoning": {"effort": "max"},
        "parallel_tool_calls": True,
        "tools": [FUNCTION],
    }

    assert ({"input": "Hi", **fields}, []) == prepared(None, **fields)


@pytest.mark.parametrize(
    ("item", "out"),
    [
        (USER, [USER]),
        ({"role": "user", "content": "Hi"}, [{"role": "user", "content": "Hi"}]),
        (
            {"type": "message", "id": "msg_1", "role": "assistant", "phase": "commentary",
             "status": "completed", "content": [{"type": "output_text", "text": "x"}]},
            [{"type": "message", "role": "assistant", "phase": "commentary",
              "status": "completed", "content": [{"type": "output_text", "text": "x"}]}],
        ),
        (
            {"type": "reasoning", "id": "rs_1", "encrypted_content": "gAAAA", "content": None},
            [{"type": "reasoning", "summary": [], "encrypted_content": "gAAAA"}],
        ),
        (
            {"type": "reasoning", "id": "rs_1", "encrypted_content": "responses:A B"},
            [{"type": "reasoning", "summary": [], "encrypted_content": "A"},
             {"type": "reasoning", "summary": [], "encrypted_content": "B"}],
        ),
        (
            {"type": "function_call", "id": "fc_1", "call_id": "a", "name": "f", "arguments": ""},
            [{"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"}],
        ),
        (
            {"type": "function_call", "call_id": "a", "namespace": "mcp__files__", "name": "read",
             "arguments": "{}"},
            [{"type": "function_call", "call_id": "a", "namespace": "mcp__files__",
              "name": "read", "arguments": "{}"}],
        ),
        (
            {"type": "custom_tool_call", "id": "ctc_1", "call_id": "a", "name": "apply_patch",
             "input": 'x"', "status": "completed"},
            [{"type": "custom_tool_call", "call_id": "a", "name": "apply_patch", "input": 'x"',
              "status": "completed"},
             {"type": "custom_tool_call_output", "call_id": "a", "output": "ok"}],
        ),
        (
            {"type": "message", "role": "assistant",
             "content": [{"type": "output_text", "text": "{}", "parsed": {}}]},
            [{"type": "message", "role": "assistant",
              "content": [{"type": "output_text", "text": "{}"}]}],
        ),
        (
            {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}",
             "parsed_arguments": {}},
            [{"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"}],
        ),
        (
            {**USER, "internal_chat_message_metadata_passthrough": {"content_item_kinds": []}},
            [USER],
        ),
        (
            {"type": "compaction", "id": "cmp_1", "encrypted_content": "gBBBB"},
            [{"type": "compaction", "encrypted_content": "gBBBB"}],
        ),
        ({"type": "later_invention", "x": 1}, [{"type": "later_invention", "x": 1}]),
    ],
)  # fmt: skip
def test_items_lose_only_their_ids(item: Json, out: list[Json]) -> None:
    """Ids are removed, since Copilot refuses them on other connections.

    Fields that the SDK and Codex add for themselves are removed as well; all others are kept.
    """
    after = out[1:] if out[0].get("type") == "custom_tool_call" else []
    if out[0].get("type") == "function_call":
        after = [{"type": "function_call_output", "call_id": "a", "output": "ok"}]
        out = [*out, *after]

    assert ({"input": [USER, *out]}, []) == prepared(given=[USER, item, *after])


@pytest.mark.parametrize(
    ("item", "note"),
    [
        (
            {"type": "configuration_update", "id": "cu_1", "new": 1},
            "dropped an input item: Copilot does not support configuration_update",
        ),
        (
            {"type": "web_search_call", "id": "ws_1", "status": "completed"},
            "dropped an input item: Copilot does not support web_search_call",
        ),
        *(
            (
                {"type": "reasoning", "summary": [], "encrypted_content": encrypted},
                "dropped a reasoning item: it has no encrypted content from the Responses API",
            )
            for encrypted in (None, "", "messages:SIG", "chat:OPAQUE")
        ),
    ],
)
def test_unsupported_items_are_dropped(item: Json, note: str) -> None:
    """Items that Copilot would refuse, and reasoning of other APIs, are dropped with a note."""
    assert ({"input": [USER]}, [note]) == prepared(given=[USER, item])


@pytest.mark.parametrize("listed", ["tools", "input"])
@pytest.mark.parametrize("empty", ["", None])
def test_no_description_is_empty(empty: str | None, listed: str) -> None:
    """Copilot refuses empty descriptions, so a namespace without a description gets its name."""
    schema = {"type": "object", "properties": {}}
    function = {"type": "function", "name": "f", "parameters": schema}
    tool = {
        "type": "namespace",
        "name": "crm",
        "description": empty,
        "tools": [{**function, "description": empty}],
    }
    item = {"type": "additional_tools", "role": "developer", "tools": [tool]}

    given: Any = [item, USER] if listed == "input" else "Hi"
    body, _ = prepared(GPT, given, **({"tools": [tool]} if listed == "tools" else {}))

    assert [{**tool, "description": "crm", "tools": [function]}] == body["tools"]


def test_tools_become_functions() -> None:
    """For models that only support functions, every tool becomes one, with an accepted name."""
    long = "x" * 70
    tools = [
        {"type": "function", "name": "f", "parameters": None, "defer_loading": True},
        {"type": "function", "name": long, "parameters": {"type": "object", "required": []}},
        {
            "type": "custom",
            "name": "apply_patch",
            "description": "Edits files.",
            "format": {"type": "grammar", "syntax": "lark", "definition": "start: x"},
        },
        {"type": "custom", "name": "plain", "format": {"type": "text"}},
        {
            "type": "namespace",
            "name": "mcp__files__",
            "tools": [
                FUNCTION,
                {"type": "custom", "name": "c"},
            ],
        },
        {"type": "namespace", "name": "empty"},
        {"type": "web_search"},
        {"type": "web_search"},
    ]

    body, notes = prepared(OLD, tools=tools, tool_choice={"type": "custom", "name": "apply_patch"})

    names = [tool["name"] for tool in body["tools"]]
    assert ["f", "apply_patch", "plain", "mcp__files__f", "mcp__files__c"] == names[:1] + names[2:]
    assert 64 == len(names[1])
    assert {"function"} == {tool["type"] for tool in body["tools"]}
    assert {"type": "object", "properties": {}} == body["tools"][0]["parameters"]
    assert "defer_loading" not in body["tools"][0]
    patch = body["tools"][2]
    assert ("Edits files.", False, ["input"]) == (
        patch["description"],
        patch["strict"],
        patch["parameters"]["required"],
    )
    described = patch["parameters"]["properties"]["input"]["description"]
    assert described.endswith("It follows this lark grammar:\nstart: x")
    assert "description" not in body["tools"][3]
    assert {"type": "function", "name": "apply_patch"} == body["tool_choice"]
    assert [
        "dropped the tool web_search: Copilot does not run it",
        FLATTENED,
        "changed custom tools to functions: the model does not support them",
    ] == [n for n in notes if "renamed tool" not in n]
    assert [f"renamed tool {long} to {names[1]}"] == [n for n in notes if "renamed tool" in n]


@pytest.mark.parametrize(
    ("choice", "names", "left", "notes"),
    [
        (None, ["f", "g"], None, []),
        ("required", ["f", "g"], "required", []),
        ({"type": "function", "name": "g"}, ["f", "g"], {"type": "function", "name": "g"}, []),
        (
            {"type": "allowed_tools", "mode": "required", "tools": [NAMED]},
            ["g"],
            "required",
            [],
        ),
        ({"type": "allowed_tools", "tools": [NAMED, 5]}, ["g"], "auto", []),
    ],
)  # fmt: skip
def test_the_tool_choice_is_kept(
    choice: Any, names: list[str], left: Any, notes: list[str]
) -> None:
    """The model may call what the client allows, even if Copilot lacks that form of tool choice."""
    tools = [FUNCTION, {**FUNCTION, "name": "g"}]

    body, said = prepared(tools=tools, tool_choice=choice)

    assert names == [tool["name"] for tool in body["tools"]]
    assert (left, notes) == (body.get("tool_choice"), said)


@pytest.mark.parametrize("choice", ["auto", "required"])
def test_a_request_needs_a_tool_that_the_client_runs(choice: str) -> None:
    """If none of the tools is left, the request is refused."""
    with pytest.raises(RequestError, match="does not run the tool 'web_search'") as caught:
        prepared(tools=[{"type": "web_search"}], tool_choice=choice)

    assert "tools" == caught.value.param
