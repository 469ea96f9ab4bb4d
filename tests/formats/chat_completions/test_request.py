"""Parsing requests: validation errors, the initiator, and the image count."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot_proxy.errors import RequestError
from copilot_proxy.formats.chat_completions.request import (
    count_images,
    initiator,
    parse_request,
)
from copilot_proxy.formats.chat_completions.schema import ChatCompletionRequest
from copilot_proxy.formats.schema_check import check_shape
from copilot_proxy.formats.tool_checks import MAX_TOOLS
from tests.conftest import recorded_json
from tests.formats.requests import PNG, TOOL, chat_request, image, user
from tests.selection import examples

ASSISTANT = {"role": "assistant", "content": "Hello"}
CALLING = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
}
RESULT = {"role": "tool", "tool_call_id": "c1", "content": "42"}
SYSTEM = {"role": "system", "content": "Be brief."}


@pytest.mark.parametrize(
    "name",
    ["simple-request", "streaming-request", "tool-call-request", "tool-call-followup-request"],
)
def test_recorded_requests_are_accepted(name: str) -> None:
    """Recorded requests from real clients are accepted unchanged."""
    request = recorded_json(f"openai-chat-completions/{name}.json")

    assert request == parse_request(json.dumps(request).encode())


def test_unknown_fields_are_preserved() -> None:
    """Unknown fields are preserved at any depth."""
    request = {
        "model": "m",
        "messages": [{**user([{"type": "text", "text": "x", "new": 1}]), "cache": {"a": 2}}],
        "brand_new": {"x": [1]},
    }

    assert request == parse_request(json.dumps(request).encode())


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "The request has no body; a JSON object is required."),
        (b" \n", "The request has no body; a JSON object is required."),
        (b"[]", "The body must be a JSON object."),
        (b"null", "The body must be a JSON object."),
        (b"[" * 100_000, "The body is nested too deeply."),
    ],
)
def test_invalid_bodies(body: bytes, message: str) -> None:
    """The error says what is wrong with the body."""
    with pytest.raises(RequestError) as caught:
        parse_request(body)

    assert message == caught.value.message
    assert (400, "invalid_request_error") == (caught.value.status, caught.value.type)


def test_lone_surrogates_are_replaced() -> None:
    """A request whose text was cut in the middle of an emoji is accepted."""
    body = b'{"model": "m", "messages": [{"role": "user", "content": "a\\ud83d"}]}'
    whole = b'{"model": "m", "messages": [{"role": "user", "content": "\\ud83d\\ude00"}]}'

    assert "a\ufffd" == parse_request(body)["messages"][0]["content"]
    assert "😀" == parse_request(whole)["messages"][0]["content"]


@pytest.mark.parametrize(
    "body", [b"{", b"hello", b'{"a": NaN}', b'{"a": 1,}', b'{"a": "\xff"}', b"\xff\xfe"]
)
def test_bodies_that_are_not_json(body: bytes) -> None:
    """The error says whether the body is invalid JSON or invalid UTF-8."""
    with pytest.raises(RequestError, match="not valid JSON"):
        parse_request(body)


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"model": ""}, "model", None),
        ({"model": None}, "model", "invalid_type"),
        ({"model": 5}, "model", "invalid_type"),
        ({"messages": []}, "messages", None),
        ({"messages": "Hi"}, "messages", "invalid_type"),
        ({"messages": ["Hi"]}, "messages[0]", "invalid_type"),
        ({"messages": [{"content": "Hi"}]}, "messages[0].role", "missing_required_parameter"),
        ({"messages": [user(), {"role": "user"}]}, "messages[1].content",
         "missing_required_parameter"),
        ({"messages": [user(None)]}, "messages[0].content", "invalid_type"),
        ({"messages": [{"role": "robot", "name": "f", "content": "x"}]}, "messages[0].role",
         "invalid_value"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id",
         "missing_required_parameter"),
        ({"messages": [user([{"text": "x"}])]}, "messages[0].content[0].type",
         "missing_required_parameter"),
        ({"messages": [user([{"type": "video"}])]}, "messages[0].content[0].type",
         "invalid_value"),
        ({"messages": [user([{"type": "image_url", "image_url": {}}])]},
         "messages[0].content[0].image_url.url", "missing_required_parameter"),
        ({"messages": [user([{"type": "text", "text": "x"}, image("https://x/y.png")])]},
         "messages[0].content[1].image_url", "unsupported_value"),
        ({"messages": [user([{"type": "image_url", "image_url": "http://x"}])]},
         "messages[0].content[0].image_url", "unsupported_value"),
        ({"messages": [user([{"type": "file", "file": {}}])]},
         "messages[0].content[0].file.file_data", "missing_required_parameter"),
        ({"messages": [user([{"type": "input_audio", "input_audio": {}}])]},
         "messages[0].content[0]", "unsupported_value"),
        ({"messages": [{"role": "assistant", "tool_calls": [{"id": "x"}]}]},
         "messages[0].tool_calls[0].function", "missing_required_parameter"),
        ({"n": 2}, "n", "unsupported_value"),
        ({"n": 0}, "n", "unsupported_value"),
        ({"n": "1"}, "n", "invalid_type"),
        ({"functions": 1}, "functions", "invalid_value"),
        ({"functions": [{"name": "f"}], "tools": [TOOL]}, "functions", "invalid_value"),
        ({"tool_choice": "required", "tools": []}, "tool_choice", "invalid_value"),
        ({"tool_choice": {"type": "function", "function": {"name": "f"}}},
         "tool_choice", "invalid_value"),
        ({"thinking_budget": "high"}, "thinking_budget", "invalid_type"),
        ({"function_call": {"name": "f"}}, "function_call", "invalid_value"),
        ({"functions": [{}]}, "tools[0].function.name", "missing_required_parameter"),
        ({"tools": [TOOL] * (MAX_TOOLS + 1)}, "tools", "array_above_max_length"),
        ({"tools": [{"type": "function"}]}, "tools[0].function", "missing_required_parameter"),
        ({"tools": [{**TOOL, "type": "odd"}]}, "tools[0].type", "invalid_value"),
        ({"tools": [{**TOOL, "type": "custom"}]},
         "tools[0].custom", "missing_required_parameter"),
        ({"tools": [{"type": "custom", "custom": {}}]},
         "tools[0].custom.name", "missing_required_parameter"),
        ({"messages": [{"role": "assistant", "tool_calls": [{"id": "x", "type": "custom"}]}]},
         "messages[0].tool_calls[0].custom", "missing_required_parameter"),
        ({"messages": [{"role": "tool", "tool_call_id": "x", "content": [{"a": 1}]}]},
         "messages[0].content[0].type", "missing_required_parameter"),
        ({"messages": [{"role": "tool", "tool_call_id": "x", "content": [{"type": "text"}]}]},
         "messages[0].content[0].text", "missing_required_parameter"),
        ({"tools": [{"function": {"name": "f", "parameters": "x"}}]},
         "tools[0].function.parameters", "invalid_type"),
        ({"stream": "yes"}, "stream", "invalid_type"),
        ({"stream_options": {"include_usage": 1}}, "stream_options.include_usage", "invalid_type"),
        ({"temperature": "hot"}, "temperature", "invalid_type"),
        ({"max_tokens": 1.5}, "max_tokens", "invalid_type"),
        ({"stop": [1]}, "stop[0]", "invalid_type"),
        ({"response_format": {}}, "response_format.type", "missing_required_parameter"),
        ({"logit_bias": {"50256": "x"}}, "logit_bias[...]", "invalid_type"),
    ],
)  # fmt: skip
def test_refusals_name_the_field(fields: Any, param: str, code: str | None) -> None:
    """Invalid requests are refused with the path of the field and a code, as OpenAI does."""
    with pytest.raises(RequestError) as caught:
        chat_request(**fields)

    assert (param, code) == (caught.value.param, caught.value.code)
    assert (400, "invalid_request_error") == (caught.value.status, caught.value.type)


@pytest.mark.parametrize("missing", ["model", "messages"])
def test_required_fields(missing: str) -> None:
    """The error names a missing model or messages field."""
    request = {"model": "m", "messages": [user()]}
    del request[missing]

    with pytest.raises(RequestError) as caught:
        parse_request(json.dumps(request).encode())

    assert f"Missing required parameter: '{missing}'." == caught.value.message
    assert missing == caught.value.param


def test_errors_use_json_type_names() -> None:
    """Errors use JSON's names for types."""
    with pytest.raises(RequestError) as caught:
        chat_request(temperature="hot")

    assert "Invalid 'temperature': must be a number or null, not a string." == (
        caught.value.message
    )


def test_a_body_of_the_wrong_type_has_no_path() -> None:
    """If the whole body has the wrong type, the error names no field."""
    with pytest.raises(RequestError) as caught:
        check_shape([], ChatCompletionRequest)

    assert ("The body must be an object, not an array.", None) == (
        caught.value.message,
        caught.value.param,
    )


def test_the_maximum_number_of_tools_is_accepted() -> None:
    """A request with exactly the maximum number of tools is accepted."""
    assert MAX_TOOLS == len(chat_request(tools=[TOOL] * MAX_TOOLS)["tools"])


def test_unset_fields_may_be_null() -> None:
    """Null is accepted for every optional field, since SDKs send it for unset fields."""
    nulls = dict.fromkeys(
        ["stream", "stream_options", "max_tokens", "max_completion_tokens", "temperature", "top_p",
         "n", "stop", "tools", "tool_choice", "parallel_tool_calls", "response_format",
         "reasoning_effort", "presence_penalty", "frequency_penalty", "logit_bias", "logprobs",
         "top_logprobs", "seed", "user", "functions", "function_call"]
    )  # fmt: skip

    assert {"model": "m", "messages": [user()], **nulls} == chat_request(**nulls)


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([user()], "user"),
        ([SYSTEM, user()], "user"),
        ([user(), ASSISTANT, user()], "user"),
        ([user(), CALLING, RESULT, user()], "user"),
        ([user([{"type": "text", "text": "Hi"}])], "user"),
        ([user(), CALLING, RESULT], "agent"),
        ([user(), CALLING, RESULT, RESULT], "agent"),
        ([user(), ASSISTANT], "agent"),
        ([user(), ASSISTANT, SYSTEM], "agent"),
        # Instructions are not a turn.
        ([user(), SYSTEM], "user"),
        ([SYSTEM], "user"),
        ([user(), {"role": "developer", "content": "x"}], "user"),
    ],
)
def test_the_initiator_depends_on_the_last_message(messages: list[Any], expected: str) -> None:
    """The initiator is `user` only if the last message is the user's; billing depends on it."""
    assert expected == initiator(messages)


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([user("x")], False),
        ([user([{"type": "text", "text": "image_url"}])], False),
        ([user(PNG)], False),
        ([user([image()])], True),
        ([user([{"type": "image_url", "image_url": PNG}])], True),
        ([user([image()]), ASSISTANT, user("And now?")], True),
        ([user(), CALLING, {**RESULT, "content": [image()]}], True),
        ([user([{"type": "tool_result", "content": [{"type": "image", "source": {}}]}])], True),
        ([user([{"type": "x", "content": [{"content": [{"type": "input_image"}]}]}])], True),
        ([user([{"type": ["image"], "content": {"type": "image"}}])], True),
        ([user([{"type": ["image"], "content": 5}])], False),
    ],
)
def test_images_are_found_in_all_messages(messages: list[Any], expected: bool) -> None:
    """Old and nested images also count: the request needs the vision header."""
    assert expected is (count_images(messages) > 0)


def test_images_are_found_at_any_depth() -> None:
    """Images are found at any depth that the JSON parser accepts."""
    deep = '{"type": "text", "text": "x", "content": ' + "[" * 900 + "]" * 900 + "}"
    body = '{"model": "m", "messages": [{"role": "user", "content": [' + deep + "]}]}"

    assert not count_images(parse_request(body.encode())["messages"])


FIELDS = ["n", "tools", "functions", "stream", "stream_options", "stop", "logit_bias"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


@examples(100)
@given(
    st.fixed_dictionaries(
        {"model": st.just("m") | JSON, "messages": st.just([user()]) | JSON},
        optional=dict.fromkeys(FIELDS, JSON),
    )
    | JSON
)
def test_any_json_is_a_request_or_an_error(body: Any) -> None:
    """Any JSON is either accepted or refused with a `RequestError`."""
    try:
        request = parse_request(json.dumps(body).encode())
    except RequestError:
        return

    # Only empty values have been left out.
    kept = {name: body[name] for name in request if name in body}
    assert request == json.loads(json.dumps(kept))
    assert not any(value for name, value in body.items() if name not in request)


@examples(60)
@given(st.binary(max_size=30))
def test_any_other_bytes_are_an_error(body: bytes) -> None:
    """Any bytes that are not a request are refused with a `RequestError`."""
    with pytest.raises(RequestError):
        parse_request(body)
