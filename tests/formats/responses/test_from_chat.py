"""What Copilot's Responses API gets of a hub request."""

from typing import Any

import pytest

from copilot_proxy.catalogue import Model
from copilot_proxy.formats.profiles import profile_of
from copilot_proxy.formats.responses.request_from_chat import ENCRYPTED, from_chat
from copilot_proxy.formats.responses.request_to_model import responses_from_chat
from copilot_proxy.formats.responses.schema import Json
from tests.formats.answers import MODEL
from tests.formats.responses.answers import PICTURE
from tests.formats.responses.models import GPT, PLAIN

USER: Json = {"role": "user", "content": "Hi"}
ASKED: Json = {
    "type": "message",
    "role": "user",
    "content": [{"type": "input_text", "text": "Hi"}],
}
PARAMETERS = {"type": "object", "properties": {"p": {"type": "string"}}}
TOOL = {"type": "function", "function": {"name": "f", "parameters": PARAMETERS}}
FLAT = {"type": "function", "name": "f", "parameters": PARAMETERS, "strict": False}
OTHER = {"type": "function", "function": {"name": "g", "strict": True, "description": None}}
FLAT_OTHER = {
    "type": "function",
    "name": "g",
    "parameters": {"type": "object", "properties": {}},
    "strict": True,
}


def call(id: str, arguments: str | None = "{}") -> Json:
    return {"id": id, "type": "function", "function": {"name": "f", "arguments": arguments}}


def called(id: str) -> Json:
    return {"type": "function_call", "call_id": id, "name": "f", "arguments": "{}"}


def result(id: str, content: Any = "ok") -> Json:
    return {"role": "tool", "tool_call_id": id, "content": content}


def output(id: str, text: str = "ok") -> Json:
    return {"type": "function_call_output", "call_id": id, "output": text}


def said(*parts: Json) -> Json:
    return {"type": "message", "role": "assistant", "content": list(parts)}


def text(words: str) -> Json:
    return {"type": "output_text", "text": words}


def sealed(encrypted: str) -> Json:
    return {"type": "reasoning", "summary": [], "encrypted_content": encrypted}


def translated(
    model: Model | None = PLAIN, messages: list[Json] | None = None, **fields: Any
) -> tuple[Json, list[str]]:
    """The upstream request without what it always has, and the notes."""
    notes: list[str] = []
    chat = {"model": MODEL, "messages": messages or [USER], **fields}
    before = repr(chat)
    body = responses_from_chat(chat, model, notes).body
    assert before == repr(chat), "the hub request was changed"
    always = {
        "model": model.id if model else MODEL,
        "store": False,
        "include": [ENCRYPTED],
    }
    assert always == {name: body.pop(name) for name in always}
    return body, notes


@pytest.mark.parametrize(
    ("message", "items"),
    [
        (USER, [ASKED]),
        (
            {"role": "system", "content": "Be brief.", "name": "x"},
            [{**ASKED, "role": "system", "content": [{"type": "input_text", "text": "Be brief."}]}],
        ),
        ({**USER, "role": "developer"}, [{**ASKED, "role": "developer"}]),
        (
            {"role": "user", "content": []},
            [{**ASKED, "content": [{"type": "input_text", "text": ""}]}],
        ),
        (
            {"role": "user", "content": [
                {"type": "text", "text": "See"},
                {"type": "image_url", "image_url": {"url": PICTURE, "detail": "low"}},
                {"type": "image_url", "image_url": {"url": PICTURE}},
                {"type": "image_url", "image_url": PICTURE},
                {"type": "refusal", "refusal": "No."},
            ]},
            [{**ASKED, "content": [
                {"type": "input_text", "text": "See"},
                {"type": "input_image", "image_url": PICTURE, "detail": "low"},
                {"type": "input_image", "image_url": PICTURE, "detail": "auto"},
                {"type": "input_image", "image_url": PICTURE, "detail": "auto"},
                {"type": "input_text", "text": "No."},
            ]}],
        ),
        ({"role": "assistant", "content": "Hello"}, [said(text("Hello"))]),
        (
            {"role": "assistant", "content": [
                {"type": "text", "text": "a"}, {"type": "text", "text": ""},
                {"type": "refusal", "refusal": "b"}]},
            [said(text("a"), {"type": "refusal", "refusal": "b"})],
        ),
        (
            {"role": "assistant", "content": None, "refusal": "No."},
            [said({"type": "refusal", "refusal": "No."})],
        ),
        (
            {"role": "assistant", "content": "Look", "tool_calls": [call("a"), call("b", None)],
             "reasoning_opaque": "responses:A B", "reasoning_content": "thoughts"},
            [sealed("A"), sealed("B"), said(text("Look")), called("a"), called("b")],
        ),
        (
            {"role": "assistant", "content": "x", "reasoning_opaque": "messages:SIG"},
            [said(text("x"))],
        ),
        ({"role": "assistant", "content": "x", "reasoning_opaque": "OPAQUE"}, [said(text("x"))]),
        (result("a"), [output("a")]),
        (
            result("a", [{"type": "text", "text": "x"}, {"type": "text", "text": "y"}]),
            [output("a", "x\ny")],
        ),
    ],
)  # fmt: skip
def test_messages_become_items(message: Json, items: list[Json]) -> None:
    """Every message is said in the words of this API, with nothing lost or made up."""
    notes: list[str] = []
    chat = {"model": MODEL, "messages": [message]}

    body = from_chat(chat, profile_of(PLAIN, "responses"), notes)

    assert items == body["input"]
    assert [] == notes


@pytest.mark.parametrize(
    "message",
    [
        {"role": "assistant", "content": "", "tool_calls": []},
        {"role": "assistant", "content": [], "reasoning_opaque": "responses:A"},
    ],
)
def test_an_empty_answer_is_left_out(message: Json) -> None:
    """Reasoning without an answer behind it would be refused, and an empty message says nothing."""
    body, notes = translated(messages=[USER, message, USER])

    assert [ASKED, ASKED] == body["input"]
    assert ["dropped an assistant message: it is empty"] == notes


def test_a_conversation_with_tools_keeps_its_order() -> None:
    """Several rounds of parallel calls come in the order in which they were."""
    first = {"role": "assistant", "content": None, "tool_calls": [call("a"), call("b")]}
    second = {"role": "assistant", "content": "Once more", "tool_calls": [call("c")]}
    messages = [USER, first, result("b"), result("a"), second, result("c"), USER]

    body, _ = translated(messages=messages)

    assert [
        ASKED,
        called("a"),
        called("b"),
        output("b"),
        output("a"),
        said(text("Once more")),
        called("c"),
        output("c"),
        ASKED,
    ] == body["input"]


@pytest.mark.parametrize("after", [[], [USER]])
def test_images_of_results_are_shown_after_the_last_of_them(after: list[Json]) -> None:
    """Results are texts: their images follow as the person's, when all results are told."""
    image = {"type": "image_url", "image_url": {"url": PICTURE}}
    calls = {"role": "assistant", "content": None, "tool_calls": [call("a"), call("b")]}
    seen = result("a", [image, {"type": "text", "text": "x"}])

    body, _ = translated(messages=[USER, calls, seen, result("b", [image]), *after])

    shown = {"type": "input_image", "image_url": PICTURE, "detail": "auto"}
    assert [
        output("a", "x"),
        output("b", ""),
        {
            **ASKED,
            "content": [
                {"type": "input_text", "text": "Shown by the result of a:"},
                shown,
                {"type": "input_text", "text": "Shown by the result of b:"},
                shown,
            ],
        },
        *([ASKED] if after else []),
    ] == body["input"][3:]


@pytest.mark.parametrize(
    ("fields", "left", "notes"),
    [
        ({}, {"stream": False}, []),
        ({"stream": True, "stream_options": {}}, {"stream": False}, []),
        ({"n": 1, "store": False, "seed": None}, {"stream": False}, []),
        ({"temperature": 0.5, "user": "u", "prompt_cache_key": "k"},
         {"temperature": 0.5, "user": "u", "prompt_cache_key": "k", "stream": False}, []),
        ({"max_tokens": 50}, {"max_output_tokens": 50, "stream": False}, []),
        ({"max_tokens": 50, "max_completion_tokens": 60},
         {"max_output_tokens": 60, "stream": False}, []),
        ({"max_tokens": 1}, {"max_output_tokens": 16, "stream": False},
         ["changed max_output_tokens: 1 to 16, the least there is"]),
        ({"reasoning_effort": "low"}, {"stream": False},
         ["dropped reasoning_effort: the model has no levels of it"]),
        ({"response_format": {"type": "text"}}, {"stream": False}, []),
        ({"response_format": {"type": "json_object"}},
         {"text": {"format": {"type": "json_object"}}, "stream": False}, []),
        ({"response_format": {"type": "json_schema", "json_schema":
            {"name": "n", "schema": {"type": "object"}, "strict": True, "description": None}}},
         {"text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"},
                              "strict": True}}, "stream": False}, []),
        ({"verbosity": "low"}, {"text": {"verbosity": "low"}, "stream": False}, []),
        ({"stop": ["x"], "seed": 1, "made_up": 2}, {"stream": False},
         [f"dropped {name}: the model's API, Responses, does not have it"
          for name in ("stop", "seed", "made_up")]),
        ({"store": True}, {"stream": False}, ["dropped store: Copilot stores nothing"]),
        ({"parallel_tool_calls": True}, {"stream": False}, []),
        ({"tools": [], "tool_choice": "none"}, {"stream": False}, []),
        ({"tools": [TOOL], "parallel_tool_calls": True}, {"tools": [FLAT], "stream": False},
         ["dropped parallel_tool_calls: the model does not have it"]),
    ],
)  # fmt: skip
def test_fields_are_translated_or_named(fields: Json, left: Json, notes: list[str]) -> None:
    """Each field reaches the model under its name there, or the client hears that it did not."""
    assert ({"input": [ASKED], **left}, notes) == translated(**fields)


@pytest.mark.parametrize(
    ("model", "fields", "left", "notes"),
    [
        (GPT, {}, {"reasoning": {"summary": "auto"}}, []),
        (GPT, {"reasoning_effort": "high"},
         {"reasoning": {"effort": "high", "summary": "auto"}}, []),
        (GPT, {"reasoning_effort": "minimal"},
         {"reasoning": {"effort": "low", "summary": "auto"}},
         ["changed reasoning_effort: minimal to low"]),
        (GPT, {"temperature": 0.5, "top_p": 1.0}, {"reasoning": {"summary": "auto"}},
         ["dropped temperature: the model takes only its default"]),
        (GPT, {"stream": True}, {"reasoning": {"summary": "auto"}, "stream": True}, []),
        (GPT, {"tools": [TOOL], "parallel_tool_calls": True},
         {"reasoning": {"summary": "auto"}, "tools": [FLAT], "parallel_tool_calls": True}, []),
        (None, {"stream": True, "temperature": 0.5}, {"stream": True, "temperature": 0.5}, []),
        (None, {"reasoning_effort": "max"},
         {"reasoning": {"effort": "max", "summary": "auto"}}, []),
    ],
)  # fmt: skip
def test_a_model_gets_what_it_has(
    model: Model | None, fields: Json, left: Json, notes: list[str]
) -> None:
    """Sampling, reasoning and streams are as the catalogue says that the model has them."""
    assert ({"input": [ASKED], "stream": False, **left}, notes) == translated(model, **fields)


@pytest.mark.parametrize(
    ("choice", "tools", "left", "notes"),
    [
        ("required", [FLAT, FLAT_OTHER], "required", []),
        (
            {"type": "function", "function": {"name": "g"}},
            [FLAT, FLAT_OTHER],
            {"type": "function", "name": "g"},
            [],
        ),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [OTHER, {}]}},
            [FLAT_OTHER],
            "required",
            [],
        ),
        (
            {"type": "custom", "custom": {"name": "x"}},
            [FLAT, FLAT_OTHER],
            None,
            ["dropped tool_choice: Copilot has no tool custom"],
        ),
    ],
)
def test_tools_and_the_choice_among_them_are_flat(
    choice: Any, tools: list[Json], left: Any, notes: list[str]
) -> None:
    """Functions have no box of their own here, and are strict only where the client says so."""
    body, said = translated(tools=[TOOL, OTHER], tool_choice=choice)

    assert (tools, left, notes) == (body["tools"], body.get("tool_choice"), said)
