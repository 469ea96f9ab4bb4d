"""Gemini requests translated to chat requests."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot_proxy.errors import RequestError
from copilot_proxy.formats.gemini.api import GEMINI
from copilot_proxy.formats.gemini.json_schemas import to_json_schema
from copilot_proxy.formats.gemini.request import parse_call
from copilot_proxy.formats.gemini.request_to_chat import to_chat
from copilot_proxy.formats.gemini.thought_signatures import Reasoning, seal, unseal
from copilot_proxy.formats.types import ChatRequest, ClientRequest, Json


def parsed(contents: Any = "Hi", **more: Any) -> ClientRequest:
    return parse_call(json.dumps({"contents": contents, **more}).encode(), "models/m")


def chat(contents: Any = "Hi", **more: Any) -> ChatRequest:
    return to_chat(parsed(contents, **more), [])


def messages(contents: Any) -> list[Json]:
    found: list[Json] = chat(contents)["messages"]
    return found


def test_pieces_of_an_answer() -> None:
    """SDKs store each streamed event as a separate content object; together they are one turn."""
    contents = [
        {"parts": [{"text": "Hi"}]},
        *({"role": "model", "parts": [{"text": text}]} for text in ("One ", "two ", "three")),
        {"role": "user", "parts": [{"text": "And "}, {"text": "now?"}]},
    ]

    _, answer, question = messages(contents)
    assert {"role": "assistant", "content": "One two three"} == answer
    assert ["And ", "now?"] == [part["text"] for part in question["content"]]


@given(st.booleans(), st.booleans())
def test_results_find_their_calls(has_call_ids: bool, has_result_ids: bool) -> None:
    """Results are matched to calls by id or, without ids, by name and order; new ids are
    reproducible."""
    names = ["f", "g", "f"]
    calls = [
        {"name": name, "args": {}} | ({"id": f"id-{i}"} if has_call_ids else {})
        for i, name in enumerate(names)
    ]
    order = [2, 1, 0] if has_call_ids and has_result_ids else [0, 1, 2]
    results = [
        {"name": names[i], "response": {"result": i}}
        | ({"id": f"id-{i}"} if has_result_ids else {})
        for i in order
    ]
    contents = [
        {"role": "user", "parts": [{"text": "Go"}]},
        {"role": "model", "parts": [{"functionCall": call} for call in calls]},
        {"role": "user", "parts": [{"functionResponse": result} for result in results]},
    ]

    _, answer, *found = messages(contents)
    ids = [call["id"] for call in answer["tool_calls"]]
    assert 3 == len(set(ids))
    assert [(ids[i], json.dumps({"result": i}, separators=(",", ":"))) for i in order] == [
        (one["tool_call_id"], one["content"]) for one in found
    ]
    assert messages(contents)[1] == answer


@given(st.text(), st.sampled_from(["messages:QUJD", "responses:x y", "gAAA="]))
def test_signatures(text: str, opaque: str) -> None:
    """Reasoning is returned unchanged, even if an SDK has switched the base64 alphabet."""
    signature = seal(Reasoning(text, opaque))
    again = base64.urlsafe_b64encode(base64.b64decode(signature)).decode().rstrip("=")

    assert Reasoning(text, opaque) == unseal(signature) == unseal(again)


@pytest.mark.parametrize(
    "signature", ["skip_thought_signature_validator", "CiQB0e2Kb", "x", "", "é"]
)
def test_signatures_of_other_vendors(signature: str) -> None:
    """Other vendors' signatures are dropped, since no model here can use them."""
    contents = [
        {"parts": [{"text": "Hi"}]},
        {"role": "model", "parts": [{"text": "Ho", "thoughtSignature": signature}]},
        {"parts": [{"text": "Hi"}]},
    ]

    assert {"role": "assistant", "content": "Ho"} == messages(contents)[1]


def test_thoughts_that_are_sent_back() -> None:
    """The text in the signature takes precedence over the parts, which clients drop or change."""
    signature = seal(Reasoning("All of it", "messages:QUJD"))
    said = [
        {"text": "A part", "thought": True},
        {"functionCall": {"name": "f", "args": {}, "id": "c"}, "thoughtSignature": signature},
    ]
    request = parsed([{"parts": [{"text": "Hi"}]}, {"role": "model", "parts": said}])
    answer = to_chat(request, [])["messages"][1]
    without = GEMINI.without_reasoning(request, GEMINI.encrypted_reasoning(request))

    assert ("All of it", "messages:QUJD") == (
        answer["reasoning_content"],
        answer["reasoning_opaque"],
    )
    assert "reasoning_opaque" not in to_chat(without, [])["messages"][1]


@pytest.mark.parametrize(
    ("parts", "role", "expected"),
    [
        ([{"text": "Hi"}], "user", "user"),
        ([{"functionResponse": {"name": "f"}}], "user", "agent"),
        ([{"functionResponse": {"name": "f"}}, {"inlineData": "image"}], "function", "agent"),
        ([{"functionResponse": {"name": "f"}}, {"text": "Stop!"}], "user", "user"),
        ([{"text": "<system-reminder>x</system-reminder>"}], "user", "user"),
        ([{"text": "I will"}], "model", "agent"),
    ],
)
def test_the_initiator(parts: list[Json], role: str, expected: str) -> None:
    """The initiator is the user only if the last content contains the user's own words."""
    blob = {"mimeType": "image/png", "data": "AAAA"}
    parts = [{"inlineData": blob} if "inlineData" in part else part for part in parts]
    call = {"functionCall": {"name": "f", "args": {}}}
    before: list[Json] = [] if "reminder" in str(parts) else [{"role": "model", "parts": [call]}]

    assert expected == GEMINI.initiator(parsed([*before, {"role": role, "parts": parts}]))


@pytest.mark.parametrize(
    ("config", "effort", "summary"),
    [
        ({}, None, "none"),
        ({"thinkingBudget": 0}, "none", "none"),
        ({"thinkingBudget": -1, "includeThoughts": True}, None, "auto"),
        ({"thinkingBudget": 16000}, "high", "none"),
        ({"thinking_level": "LOW", "include_thoughts": True}, "low", "auto"),
    ],
)
def test_thinking(config: Json, effort: str | None, summary: str) -> None:
    """A level or budget becomes an effort; thoughts are only requested if they are shown."""
    request = parsed(generation_config={"thinking_config": config})
    found = to_chat(request, [])

    assert (effort, summary) == (found.get("reasoning_effort"), found["reasoning_summary"])
    assert GEMINI.wants_reasoning(request) == (effort not in (None, "none") or summary == "auto")


def test_parameters_of_an_alias() -> None:
    """Parameters of an alias override the request's own."""
    request = parsed(generationConfig={"maxOutputTokens": 9, "temperature": 1})
    fixed = {"reasoning_effort": "low", "max_tokens": 50, "top_p": 0.5}
    found = to_chat(GEMINI.with_parameters(request, fixed), [])

    assert {**fixed, "temperature": 1}.items() <= found.items()


def test_schemas() -> None:
    """Google's notation becomes JSON Schema; the client's own names are unchanged."""
    schema = {
        "type": "OBJECT",
        "properties": {
            "type": {"type": "STRING", "format": "enum", "enum": ["A"], "nullable": True},
            "any_of": {"any_of": [{"type": "INTEGER"}, {"type": "STRING"}]},
            "items": {"type": "ARRAY", "items": {"type": "NUMBER"}, "minItems": "1"},
        },
        "property_ordering": ["type"],
        "required": ["type"],
    }

    assert {
        "type": "object",
        "properties": {
            "type": {"type": ["string", "null"], "format": "enum", "enum": ["A", None]},
            "any_of": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
            "items": {"type": "array", "items": {"type": "number"}, "minItems": 1},
        },
        "required": ["type"],
    } == to_json_schema(schema)


@pytest.mark.parametrize(("required", "strict"), [(["a"], True), ([], False)])
def test_strict_output(required: list[str], strict: bool) -> None:
    """Strict output allows no optional properties, so a schema that has any is not strict."""
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "required": required}
    config = {"responseMimeType": "application/json", "responseJsonSchema": schema}
    form = chat(generationConfig=config)["response_format"]["json_schema"]

    assert strict == form["strict"] == (form["schema"].get("additionalProperties") is False)


def test_a_schema_needs_json() -> None:
    """A schema without the JSON media type is refused, since the client would get plain text."""
    with pytest.raises(RequestError, match="application/json"):
        chat(generationConfig={"responseSchema": {"type": "STRING"}})


def test_an_image_in_an_answer() -> None:
    """The image stays in the answer with its text; a later rule moves it to a user message."""
    shown = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}
    notes: list[str] = []
    answers: list[Json] = [{"role": "model", "parts": [{"text": "A cat:"}, shown]}]

    message = to_chat(parsed([{"parts": [{"text": "Draw."}]}, *answers]), notes)["messages"][1]

    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    assert {
        "role": "assistant",
        "content": [{"type": "text", "text": "A cat:"}, image],
    } == message
    assert [] == notes
