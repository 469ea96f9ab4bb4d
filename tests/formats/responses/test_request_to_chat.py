"""Responses requests become chat requests."""

from typing import Any

import pytest

from copilot_proxy.errors import RequestError
from copilot_proxy.formats.chat_completions.request import check_request
from copilot_proxy.formats.request_fields import drop_fields
from copilot_proxy.formats.responses.request_from_chat import ENCRYPTED
from copilot_proxy.formats.responses.request_to_chat import to_chat
from copilot_proxy.formats.types import Json
from tests.formats.answers import MODEL
from tests.formats.responses.answers import PICTURE, request

SYSTEM = {"role": "system", "content": "x"}
USER = {"role": "user", "content": "Hi"}
FUNCTION = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}


def called(id: str, name: str = "f", **more: Any) -> Json:
    return {"type": "function_call", "call_id": id, "name": name, "arguments": "{}", **more}


def output(id: str, said: Any = "ok") -> Json:
    return {"type": "function_call_output", "call_id": id, "output": said}


def call(id: str, name: str = "f", arguments: str = "{}") -> Json:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def result(id: str, said: Any = "ok") -> Json:
    return {"role": "tool", "tool_call_id": id, "content": said}


def answer(content: str | None, *calls: Json, **more: Any) -> Json:
    message: Json = {"role": "assistant", "content": content, **more}
    return {**message, "tool_calls": list(calls)} if calls else message


def said(text: str) -> Json:
    content = [{"type": "output_text", "text": text}]
    return {"type": "message", "role": "assistant", "content": content}


def thought(encrypted: str | None, *texts: str) -> Json:
    summary = [{"type": "summary_text", "text": text} for text in texts]
    return {"type": "reasoning", "summary": summary, "encrypted_content": encrypted}


def translated(given: Any = "Hi", **fields: Any) -> tuple[Json, list[str]]:
    """Return the chat request, which must be valid, and the notes."""
    notes: list[str] = []
    asked = request(given, **fields)
    before = repr(asked)
    chat = to_chat(drop_fields("responses", asked, notes), notes)
    assert before == repr(asked), "the client's request was changed"
    check_request(chat)
    assert MODEL == chat.pop("model")
    return chat, notes


@pytest.mark.parametrize(
    ("items", "messages"),
    [
        ("Hi", [USER]),
        ([USER], [USER]),
        ([{"type": "message", **SYSTEM}], [SYSTEM]),
        ([{"role": "developer", "content": []}], [{"role": "developer", "content": ""}]),
        ([{"role": "user", "content": [{"type": "input_text", "text": "Hi"}]}], [USER]),
        (
            [{"role": "user", "content": [
                {"type": "input_text", "text": "See"},
                {"type": "input_image", "image_url": PICTURE, "detail": "low"},
                {"type": "input_image", "image_url": PICTURE, "detail": "auto"},
                {"type": "refusal", "refusal": "No."}]}],
            [{"role": "user", "content": [
                {"type": "text", "text": "See"},
                {"type": "image_url", "image_url": {"url": PICTURE, "detail": "low"}},
                {"type": "image_url", "image_url": {"url": PICTURE}},
                {"type": "refusal", "refusal": "No."}]}],
        ),
        ([USER, {"role": "assistant", "content": "x"}], [USER, answer("x")]),
        (
            [{"role": "assistant", "content": [
                {"type": "output_text", "text": "a"}, {"type": "output_text", "text": "b"},
                {"type": "refusal", "refusal": "c"}]}],
            [answer("ab", refusal="c")],
        ),
        # Consecutive assistant items become one message.
        (
            [thought("gAAAA", "x"), said("a"), thought("gBBBB"), said("b"), called("1"),
             called("2"), output("1"), output("2")],
            [answer("a\n\nb", call("1"), call("2"), reasoning_opaque="responses:gAAAA gBBBB"),
             result("1"), result("2")],
        ),
        # Rounds of calls remain separate.
        (
            [called("1"), output("1"), called("2"), output("2"), said("x")],
            [answer(None, call("1")), result("1"), answer(None, call("2")), result("2"),
             answer("x")],
        ),
        # Results follow their calls, wherever they were before.
        (
            [called("1"), called("2"), output("2"), USER, said("x"), output("1")],
            [answer(None, call("1"), call("2")), result("2"), result("1"), USER, answer("x")],
        ),
        # A later turn may reuse an id.
        (
            [called("1"), output("1", "a"), USER, called("1"), output("1", "b")],
            [answer(None, call("1")), result("1", "a"), USER, answer(None, call("1")),
             result("1", "b")],
        ),
        # Calls without results, and results without calls, keep their positions.
        (
            [USER, output("1"), called("2"), USER],
            [USER, result("1"), answer(None, call("2")), USER],
        ),
        (
            [called("1", arguments=""),
             output("1", [{"type": "input_text", "text": "a"},
                          {"type": "input_image", "image_url": PICTURE}])],
            [answer(None, call("1")),
             result("1", [{"type": "text", "text": "a"},
                          {"type": "image_url", "image_url": {"url": PICTURE}}])],
        ),
        (
            [{"type": "custom_tool_call", "call_id": "1", "name": "apply_patch", "input": 'x"'},
             {"type": "custom_tool_call_output", "call_id": "1", "output": "ok"}],
            [answer(None, {"id": "1", "type": "custom",
                           "custom": {"name": "apply_patch", "input": 'x"'}}), result("1")],
        ),
        (
            [called("1", "read", namespace="mcp__files__"), output("1")],
            [answer(None, call("1", "mcp__files__read")), result("1")],
        ),
    ],
)  # fmt: skip
def test_items_become_messages(items: Any, messages: list[Json]) -> None:
    """Every item is in the messages, in an order that models accept."""
    assert ({"messages": messages}, []) == translated(items)


@pytest.mark.parametrize(
    ("thoughts", "fields"),
    [
        ([thought("gAAAA", "x")], {"reasoning_opaque": "responses:gAAAA"}),
        ([thought("responses:A B")], {"reasoning_opaque": "responses:A B"}),
        (
            [thought("messages:S", "x", "y"), thought("messages:2:T", "z")],
            {"reasoning_opaque": "messages:S 2:T", "reasoning_content": "xyz"},
        ),
        (
            [thought(None, "x"), thought("chat:OPAQUE")],
            {"reasoning_opaque": "OPAQUE", "reasoning_content": "x"},
        ),
        ([thought("chat:A"), thought("chat:B")], {"reasoning_opaque": "AB"}),
        ([thought("messages:S", ""), thought("gAAAA")], {"reasoning_opaque": "responses:gAAAA"}),
        ([thought(None, "x")], {}),
        ([{"type": "reasoning"}], {}),
    ],
)
def test_encrypted_reasoning_stays_with_its_message(thoughts: list[Json], fields: Json) -> None:
    """Reasoning goes back to the API that encrypted it, in that API's format."""
    assert {"messages": [USER, answer("a", **fields)]} == translated([USER, *thoughts, said("a")])[
        0
    ]


@pytest.mark.parametrize(
    ("item", "note"),
    [
        (thought("gAAAA", "x"), "dropped an empty assistant message"),
        ({"role": "assistant", "content": ""}, "dropped an empty assistant message"),
        *(
            (
                {"type": kind, "id": "x", **more},
                f"dropped an input item: Copilot does not support {kind}",
            )
            for kind, more in (("web_search_call", {}), ("configuration_update", {"new": 1}))
        ),
    ],
)  # fmt: skip
def test_unsupported_items_are_dropped(item: Json, note: str) -> None:
    """Items that other APIs do not support are dropped with a note."""
    assert ({"messages": [USER, USER]}, [note]) == translated([USER, item, USER])


@pytest.mark.parametrize(
    ("fields", "chat", "notes"),
    [
        ({"instructions": "Be brief."}, {}, []),
        ({"stream": True, "temperature": 0.5, "top_p": 0.1, "user": "u", "metadata": {"a": "b"},
          "prompt_cache_key": "k"},
         {"stream": True, "temperature": 0.5, "top_p": 0.1, "user": "u", "prompt_cache_key": "k"},
         ["dropped metadata: it is only repeated in the response, since Copilot stores nothing"]),
        ({"max_output_tokens": 5}, {"max_completion_tokens": 5}, []),
        ({"reasoning": {"effort": "low", "summary": "auto"}},
         {"reasoning_effort": "low", "reasoning_summary": "auto"}, []),
        ({"reasoning": {"generate_summary": "detailed"}}, {"reasoning_summary": "detailed"}, []),
        ({"reasoning": {"effort": None}}, {"reasoning_summary": "none"}, []),
        ({"text": {"format": {"type": "text"}, "verbosity": "low"}}, {"verbosity": "low"}, []),
        ({"text": {"format": {"type": "json_object"}}},
         {"response_format": {"type": "json_object"}}, []),
        ({"text": {"format": {"type": "json_schema", "name": "n", "schema": {}, "strict": None}}},
         {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}}},
         []),
        ({"include": [ENCRYPTED, "x"]}, {}, ["dropped include x: Copilot does not support it"]),
        ({"store": False, "truncation": "disabled", "background": False, "stream_options": {},
          "top_logprobs": None}, {}, []),
        ({"store": True, "previous_response_id": "resp_1"}, {}, []),
        ({"truncation": "auto", "context_management": []}, {},
         ["dropped truncation: the input is never truncated",
          "dropped context_management: the model's API does not support it"]),
    ],
)  # fmt: skip
def test_fields_are_translated_or_noted(fields: Json, chat: Json, notes: list[str]) -> None:
    """Each field reaches the model under its name on that API, or a note says it was dropped."""
    messages = [USER]
    if text := fields.get("instructions"):
        messages = [{"role": "system", "content": text}, USER]

    assert ({"messages": messages, **chat}, notes) == translated(**fields)


@pytest.mark.parametrize(
    ("choice", "left"),
    [
        (None, None),
        ("required", "required"),
        (
            {"type": "function", "name": "f"},
            {"type": "function", "function": {"name": "f"}},
        ),
        ({"type": "custom", "name": "p"}, {"type": "custom", "custom": {"name": "p"}}),
        (
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "custom", "name": "p"}]},
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "auto",
                    "tools": [{"type": "custom", "custom": {"name": "p"}}],
                },
            },
        ),
    ],
)
def test_tools_and_the_tool_choice_keep_their_kind(choice: Any, left: Any) -> None:
    """Functions, custom tools and tool choices keep their meaning in the chat request."""
    tools = [{**FUNCTION, "strict": True, "allowed_callers": []}, {"type": "custom", "name": "p"}]

    chat, notes = translated(tools=tools, tool_choice=choice, parallel_tool_calls=False)

    function = {
        "name": "f",
        "parameters": {"type": "object", "properties": {}},
        "strict": True,
    }
    assert [
        {"type": "function", "function": function},
        {"type": "custom", "custom": {"name": "p"}},
    ] == chat["tools"]
    assert left == chat.get("tool_choice")
    assert chat["parallel_tool_calls"] is False
    assert [] == notes


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ([{"role": "user", "content": [{"type": "input_file"}]}], "input[0].content[0]"),
        ([USER, output("1", [{"type": "input_file"}])], "input[1].output[0]"),
        ([USER, output("1", {"type": "odd"})], "input[1].output"),
        ([{"type": "configuration_update", "id": "x"}], "input"),
    ],
)  # fmt: skip
def test_unsupported_parts_are_refused(given: list[Json], param: str) -> None:
    """A part that would silently be lost is refused, and the error names its path."""
    with pytest.raises(RequestError) as caught:
        to_chat(request(given), [])

    assert param == caught.value.param
