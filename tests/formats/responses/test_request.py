"""Validation of Responses requests, their initiators and their images."""

import json
from typing import Any

import pytest

from copilot_proxy.errors import RequestError
from copilot_proxy.formats.responses.request import (
    check_request,
    count_images,
    initiator,
    input_items,
    parse_request,
)
from copilot_proxy.formats.types import Json
from tests.formats.responses.answers import PICTURE, request

USER = {"role": "user", "content": "Hi"}
CALL = {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "a", "output": "x"}
IMAGE = {"type": "input_image", "image_url": PICTURE}
REMOTE = {"type": "input_image", "image_url": "https://example.com/a.png"}


def test_unknown_fields_are_kept() -> None:
    """Unknown fields, items and tools survive parsing."""
    asked = request(
        [USER, {"type": "later_invention", "x": 1}],
        tools=[{"type": "later_invention", "y": 2}],
        unknown={"z": 3},
        temperature=None,
    )

    assert asked == parse_request(json.dumps(asked).encode())


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"model": None}, "model", "invalid_type"),
        ({"model": ""}, "model", None),
        ({"input": []}, "input", None),
        ({"input": ""}, "input", None),
        ({"input": 5}, "input", "invalid_type"),
        ({"input": ["Hi"]}, "input[0]", "invalid_type"),
        ({"input": [{**CALL, "arguments": {}}]}, "input[0].arguments", "invalid_type"),
        ({"input": [{}]}, "input[0].type", "missing_required_parameter"),
        ({"input": [{"type": "message"}]}, "input[0].role", "missing_required_parameter"),
        ({"input": [{"role": "tool", "content": "x"}]}, "input[0].role", "invalid_value"),
        ({"input": [{"role": "user"}]}, "input[0].content", "missing_required_parameter"),
        ({"input": [{"role": "user", "content": 5}]}, "input[0].content", "invalid_type"),
        ({"input": [{**CALL, "name": None}]}, "input[0].name", "missing_required_parameter"),
        ({"input": [{**OUTPUT, "output": None}]}, "input[0].output", "missing_required_parameter"),
        (
            {"input": [{"type": "custom_tool_call", "call_id": "a", "name": "f"}]},
            "input[0].input",
            "missing_required_parameter",
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "input_text"}]}]},
            "input[0].content[0].text",
            "missing_required_parameter",
        ),
        (
            {"input": [{**OUTPUT, "output": [{"type": "text", "text": ["x"]}]}]},
            "input[0].output[0].text",
            "missing_required_parameter",
        ),
        (
            {"input": [{"role": "assistant", "content": [{"type": "refusal"}]}]},
            "input[0].content[0].refusal",
            "missing_required_parameter",
        ),
        (
            {"input": [USER, {"role": "user", "content": [REMOTE]}]},
            "input[1].content[0].image_url",
            "unsupported_value",
        ),
        (
            {"input": [{**OUTPUT, "output": [IMAGE, REMOTE]}]},
            "input[0].output[1].image_url",
            "unsupported_value",
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]},
            "input[0].content[0].image_url",
            "missing_required_parameter",
        ),
        ({"previous_response_id": 1}, "previous_response_id", "invalid_type"),
        ({"input": [{"type": "item_reference"}]}, "input[0].id", "missing_required_parameter"),
        ({"background": True}, "background", "unsupported_value"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt", "unsupported_parameter"),
        ({"tools": [{"name": "f"}]}, "tools[0].type", "missing_required_parameter"),
        ({"tools": [{"type": "function"}]}, "tools[0].name", "missing_required_parameter"),
        ({"tools": [{"type": "mcp", "server_url": "x"}]}, "tools[0].type", "unsupported_value"),
        ({"tools": [{"type": "file_search"}]}, "tools[0].type", "unsupported_value"),
        (
            {"tools": [{"type": "namespace", "name": "n", "tools": [{"type": "function"}]}]},
            "tools[0].tools[0].name",
            "missing_required_parameter",
        ),
        (
            {"tools": [{"type": "namespace", "name": "n", "tools": [{"type": "web_search"}]}]},
            "tools[0].tools[0].type",
            "invalid_value",
        ),
        (
            {"input": [USER, {"type": "additional_tools", "tools": [{"type": "custom"}]}]},
            "input[1].tools[0].name",
            "missing_required_parameter",
        ),
        ({"tool_choice": {"type": "web_search"}}, "tool_choice", "unsupported_value"),
        ({"tool_choice": {"type": "function", "name": ["f"]}}, "tool_choice.name", "invalid_type"),
        (
            {"tool_choice": {"type": "allowed_tools", "tools": [{"type": ["function"]}]}},
            "tool_choice.tools[0].type",
            "invalid_type",
        ),
        ({"reasoning": {"effort": 5}}, "reasoning.effort", "invalid_type"),
        ({"max_output_tokens": "9"}, "max_output_tokens", "invalid_type"),
    ],
)
def test_invalid_requests_are_refused(fields: Json, param: str, code: str | None) -> None:
    """The error names the invalid field."""
    with pytest.raises(RequestError) as caught:
        check_request({**request(), **fields})

    assert (param, code, 400) == (caught.value.param, caught.value.code, caught.value.status)


def test_a_stored_conversation_is_not_found() -> None:
    """The error says that the conversation does not exist, and the hint suggests what to do."""
    with pytest.raises(RequestError) as caught:
        check_request(request(conversation="conv_1"))

    assert 404 == caught.value.status
    assert "previous_response_id" in (caught.value.hint or "")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"'])
def test_a_body_must_be_an_object(body: bytes) -> None:
    """Only a JSON object is accepted as a request."""
    with pytest.raises(RequestError):
        parse_request(body)


@pytest.mark.parametrize("name", ["input", "model"])
def test_required_fields(name: str) -> None:
    """A request without input or model is refused, and the error names the field."""
    asked = request()
    del asked[name]

    with pytest.raises(RequestError, match="Missing") as caught:
        parse_request(json.dumps(asked).encode())

    assert name == caught.value.param


def test_a_text_is_one_message() -> None:
    """Plain text is treated as one user message."""
    assert [{"type": "message", **USER}] == input_items(request("Hi"))


@pytest.mark.parametrize(
    ("given", "who"),
    [
        ("Hi", "user"),
        ([USER], "user"),
        ([{"type": "message", **USER}], "user"),
        ([USER, CALL, OUTPUT], "agent"),
        ([USER, {"role": "assistant", "content": "x"}], "agent"),
        ([USER, {"role": "assistant", "content": "x"}, USER], "user"),
        ([USER, {"type": "reasoning", "summary": []}], "agent"),
        ([USER, {"role": "developer", "content": "x"}], "user"),
        ([USER, {"type": "custom_tool_call_output", "role": "user"}], "agent"),
    ],
)
def test_the_last_item_determines_the_initiator(given: Any, who: str) -> None:
    """Only a user's own message makes the user the initiator."""
    assert who == initiator(request(given))


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("data:image/png", False),
        ([USER], False),
        ([{"role": "user", "content": [IMAGE]}, USER], True),
        ([USER, CALL, {**OUTPUT, "output": [{"type": "input_text", "text": ""}, IMAGE]}], True),
        ([{**OUTPUT, "output": {"content": [{"content": [IMAGE]}]}}], True),
        ([{**OUTPUT, "output": "input_image"}], False),
    ],
)
def test_images_are_found_at_any_depth(given: Any, found: bool) -> None:
    """Images are counted everywhere, including in the outputs of calls."""
    assert found == (count_images(request(given)) > 0)
