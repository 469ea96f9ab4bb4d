"""Chat requests become requests for Copilot's Responses API."""

from typing import Any

import pytest

from copilot_proxy.catalogue import Model
from copilot_proxy.formats.chat_completions.earlier_answers import (
    UNUSABLE_REASONING,
    has_reasoning,
)
from copilot_proxy.formats.model_profiles import profile_of
from copilot_proxy.formats.request_fields import drop_fields
from copilot_proxy.formats.responses.request_from_chat import ENCRYPTED, from_chat
from copilot_proxy.formats.responses.request_to_model import responses_from_chat
from copilot_proxy.formats.types import Json
from tests.formats.answers import MODEL
from tests.formats.responses.answers import PICTURE
from tests.formats.responses.models import GPT, NEW, OLD, PLAIN

USER: Json = {"role": "user", "content": "Hi"}
ITEM: Json = {
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


def reply(*parts: Json) -> Json:
    return {"type": "message", "role": "assistant", "content": list(parts)}


def text(value: str) -> Json:
    return {"type": "output_text", "text": value}


def encrypted(encrypted: str) -> Json:
    return {"type": "reasoning", "summary": [], "encrypted_content": encrypted}


def translated(
    model: Model | None = PLAIN, messages: list[Json] | None = None, **fields: Any
) -> tuple[Json, list[str]]:
    """Return the upstream request without its constant fields, and the notes."""
    notes: list[str] = []
    chat = {"model": MODEL, "messages": messages or [USER], **fields}
    before = repr(chat)
    taken = drop_fields("chat_completions", chat, notes)
    body = responses_from_chat(taken, model, notes).body
    assert before == repr(chat), "the chat request was changed"
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
        (USER, [ITEM]),
        (
            {"role": "system", "content": "Be brief."},
            [{**ITEM, "role": "system", "content": [{"type": "input_text", "text": "Be brief."}]}],
        ),
        ({**USER, "role": "developer"}, [{**ITEM, "role": "developer"}]),
        (
            {"role": "user", "content": []},
            [{**ITEM, "content": [{"type": "input_text", "text": ""}]}],
        ),
        (
            {"role": "user", "content": [
                {"type": "text", "text": "See"},
                {"type": "image_url", "image_url": {"url": PICTURE, "detail": "low"}},
                {"type": "image_url", "image_url": {"url": PICTURE}},
                {"type": "image_url", "image_url": PICTURE},
                {"type": "refusal", "refusal": "No."},
            ]},
            [{**ITEM, "content": [
                {"type": "input_text", "text": "See"},
                {"type": "input_image", "image_url": PICTURE, "detail": "low"},
                {"type": "input_image", "image_url": PICTURE, "detail": "auto"},
                {"type": "input_image", "image_url": PICTURE, "detail": "auto"},
                {"type": "input_text", "text": "No."},
            ]}],
        ),
        ({"role": "assistant", "content": "Hello"}, [reply(text("Hello"))]),
        (
            {"role": "assistant", "content": [
                {"type": "text", "text": "a"}, {"type": "text", "text": ""},
                {"type": "refusal", "refusal": "b"}]},
            [reply(text("a"), {"type": "refusal", "refusal": "b"})],
        ),
        (
            {"role": "assistant", "content": None, "refusal": "No."},
            [reply({"type": "refusal", "refusal": "No."})],
        ),
        (
            {"role": "assistant", "content": "Look", "tool_calls": [call("a"), call("b", None)],
             "reasoning_opaque": "responses:A B", "reasoning_content": "thoughts"},
            [encrypted("A"), encrypted("B"), reply(text("Look")), called("a"), called("b")],
        ),
        (
            {"role": "assistant", "content": "x", "reasoning_opaque": "messages:SIG"},
            [reply(text("x"))],
        ),
        ({"role": "assistant", "content": "x", "reasoning_opaque": "OPAQUE"}, [reply(text("x"))]),
        (result("a"), [output("a")]),
        (
            result("a", [{"type": "text", "text": "x"}, {"type": "text", "text": "y"}]),
            [output("a", "x\ny")],
        ),
    ],
)  # fmt: skip
def test_messages_become_items(message: Json, items: list[Json]) -> None:
    """Every message becomes an item, and nothing is lost or added, except unusable reasoning."""
    notes: list[str] = []
    chat = {"model": MODEL, "messages": [message]}

    body = from_chat(chat, profile_of(PLAIN, "responses"), notes)

    assert items == body["input"]
    is_dropped = has_reasoning(message) and all(item["type"] != "reasoning" for item in items)
    assert [UNUSABLE_REASONING] * is_dropped == notes


@pytest.mark.parametrize(
    "message",
    [
        {"role": "assistant", "content": "", "tool_calls": []},
        {"role": "assistant", "content": [], "reasoning_opaque": "responses:A"},
    ],
)
def test_an_empty_assistant_message_is_dropped(message: Json) -> None:
    """An empty assistant message is dropped with its reasoning, which is invalid on its own."""
    body, notes = translated(messages=[USER, message, USER])

    assert [ITEM, ITEM] == body["input"]
    assert ["dropped an empty assistant message"] == notes


def test_a_conversation_with_tools_keeps_its_order() -> None:
    """Several rounds of parallel calls keep their order."""
    first = {"role": "assistant", "content": None, "tool_calls": [call("a"), call("b")]}
    second = {"role": "assistant", "content": "Once more", "tool_calls": [call("c")]}
    messages = [USER, first, result("b"), result("a"), second, result("c"), USER]

    body, _ = translated(messages=messages)

    assert [
        ITEM,
        called("a"),
        called("b"),
        output("b"),
        output("a"),
        reply(text("Once more")),
        called("c"),
        output("c"),
        ITEM,
    ] == body["input"]


@pytest.mark.parametrize(
    ("model", "phases"),
    [
        (GPT, ["commentary", "final_answer"]),
        (NEW, ["commentary", "final_answer"]),
        (OLD, [None, None]),
        (PLAIN, [None, None]),
        (None, [None, None]),
    ],
)
def test_models_that_state_phases_get_them_back(
    model: Model | None, phases: list[str | None]
) -> None:
    """The model can tell a remark before a tool call from the answer that ended a turn."""
    remark = {"role": "assistant", "content": "I'll look", "tool_calls": [call("a")]}
    silent = {"role": "assistant", "content": None, "tool_calls": [call("b")]}
    answer = {"role": "assistant", "content": "Done"}
    messages = [USER, remark, result("a"), silent, result("b"), answer, USER]

    body, notes = translated(model, messages)

    assert phases == [
        item.get("phase") for item in body["input"] if item.get("role") == "assistant"
    ]
    assert [] == [
        item for item in body["input"] if "phase" in item and item.get("role") != "assistant"
    ]
    assert not notes


def test_images_of_an_assistant_message_follow_in_a_user_message() -> None:
    """Images move to a user message, since the API accepts images only from users."""
    image = {"type": "image_url", "image_url": {"url": PICTURE}}
    answer = {
        "role": "assistant",
        "content": [{"type": "text", "text": "Here"}, image],
        "tool_calls": [call("a")],
    }

    body, notes = translated(messages=[USER, answer, result("a")])

    assert [
        ITEM,
        reply(text("Here")),
        called("a"),
        output("a"),
        {
            "type": "message",
            "role": "user",
            "content": [
                {"type": "input_text", "text": "In the assistant's answer:"},
                {"type": "input_image", "image_url": PICTURE, "detail": "auto"},
            ],
        },
    ] == body["input"]
    assert ["moved images or files from an assistant message to a user message"] == notes


@pytest.mark.parametrize("after", [[], [USER]])
def test_images_of_results_follow_the_last_result(after: list[Json]) -> None:
    """Results have only text; their images follow in a user message after the last result."""
    image = {"type": "image_url", "image_url": {"url": PICTURE}}
    calls = {"role": "assistant", "content": None, "tool_calls": [call("a"), call("b")]}
    seen = result("a", [image, {"type": "text", "text": "x"}])

    body, _ = translated(messages=[USER, calls, seen, result("b", [image]), *after])

    shown = {"type": "input_image", "image_url": PICTURE, "detail": "auto"}
    assert [
        output("a", "x"),
        output("b", ""),
        {
            **ITEM,
            "content": [
                {"type": "input_text", "text": "Images in the result of a:"},
                shown,
                {"type": "input_text", "text": "Images in the result of b:"},
                shown,
            ],
        },
        *([ITEM] if after else []),
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
         ["changed max_output_tokens from 1 to 16: the minimum"]),
        ({"reasoning_effort": "low"}, {"stream": False},
         ["dropped reasoning_effort: the model does not support it"]),
        ({"response_format": {"type": "text"}}, {"stream": False}, []),
        ({"response_format": {"type": "json_object"}},
         {"text": {"format": {"type": "json_object"}}, "stream": False}, []),
        ({"response_format": {"type": "json_schema", "json_schema":
            {"name": "n", "schema": {"type": "object"}, "strict": True, "description": None}}},
         {"text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"},
                              "strict": True}}, "stream": False}, []),
        ({"verbosity": "low"}, {"text": {"verbosity": "low"}, "stream": False}, []),
        ({"stop": ["x"], "seed": 1, "made_up": 2}, {"stream": False},
         [f"dropped {name}: the Responses API does not support it"
          for name in ("stop", "seed", "made_up")]),
        ({"store": True}, {"stream": False}, ["dropped store: Copilot stores nothing"]),
        ({"parallel_tool_calls": True}, {"stream": False}, []),
        ({"tools": [], "tool_choice": "none"}, {"stream": False}, []),
        ({"tools": [TOOL], "parallel_tool_calls": True}, {"tools": [FLAT], "stream": False},
         ["dropped parallel_tool_calls: the model does not support it"]),
    ],
)  # fmt: skip
def test_fields_are_translated_or_noted(fields: Json, left: Json, notes: list[str]) -> None:
    """Each field reaches the model under its name on that API, or a note says it was dropped."""
    assert ({"input": [ITEM], **left}, notes) == translated(**fields)


@pytest.mark.parametrize(
    ("model", "fields", "left", "notes"),
    [
        (GPT, {}, {"reasoning": {"summary": "auto"}}, []),
        (GPT, {"reasoning_effort": "high"},
         {"reasoning": {"effort": "high", "summary": "auto"}}, []),
        (GPT, {"reasoning_effort": "minimal"},
         {"reasoning": {"effort": "low", "summary": "auto"}},
         ["changed reasoning_effort from minimal to low: the nearest value that the model "
         "supports"]),
        (GPT, {"temperature": 0.5, "top_p": 1.0}, {"reasoning": {"summary": "auto"}},
         ["dropped temperature: the model accepts only its default"]),
        (GPT, {"stream": True}, {"reasoning": {"summary": "auto"}, "stream": True}, []),
        (GPT, {"tools": [TOOL], "parallel_tool_calls": True},
         {"reasoning": {"summary": "auto"}, "tools": [FLAT], "parallel_tool_calls": True}, []),
        (None, {"stream": True, "temperature": 0.5}, {"stream": True, "temperature": 0.5}, []),
        (None, {"reasoning_effort": "max"},
         {"reasoning": {"effort": "max", "summary": "auto"}}, []),
    ],
)  # fmt: skip
def test_fields_fit_the_model(
    model: Model | None, fields: Json, left: Json, notes: list[str]
) -> None:
    """Sampling, reasoning and streaming are adapted to the model's catalogue entry."""
    assert ({"input": [ITEM], "stream": False, **left}, notes) == translated(model, **fields)


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
            {"type": "function", "name": "x"},
            [],
        ),
    ],
)
def test_tools_and_the_tool_choice_are_flat(
    choice: Any, tools: list[Json], left: Any, notes: list[str]
) -> None:
    """Functions are flat objects, and are strict only if the client says so."""
    body, said = translated(tools=[TOOL, OTHER], tool_choice=choice)

    assert (tools, left, notes) == (body["tools"], body.get("tool_choice"), said)
