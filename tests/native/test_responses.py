"""Native Responses: requests and answers pass through unchanged."""

import json
from typing import Any

import pytest

from copilot_proxy.formats.types import Response, ResponsesRequest
from tests.grammars import named_events, responses_events
from tests.matrix_clients import PNG, SCHEMA
from tests.native.conftest import NEW, Wire

PATH = "/v1/responses"


def responses_request(**more: Any) -> ResponsesRequest:
    """Return a long conversation with all fields of the Responses API."""
    image = {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "low"}
    function = {"type": "function", "name": "look", "parameters": SCHEMA, "strict": False}
    return {
        "model": "gpt-5.5",
        "instructions": "Be brief.",
        "input": [
            {"role": "developer", "content": "Use tools."},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
            {
                "type": "message",
                "role": "assistant",
                "status": "completed",
                "phase": "commentary",
                "content": [{"type": "output_text", "text": "Hm.", "annotations": []}],
            },
            {"type": "function_call", "call_id": "call_1", "name": "look", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "call_1", "output": [image]},
            {"type": "message", "role": "user", "content": "Look in Paris, please.", NEW: [1]},
        ],
        "tools": [{**function, "description": "Looks", NEW: True}],
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "max_output_tokens": 3000,
        "reasoning": {"effort": "high", "summary": "detailed"},
        "text": {"verbosity": "low", "format": {"type": "text"}},
        "include": ["reasoning.encrypted_content"],
        "truncation": "disabled",
        "prompt_cache_key": "conversation-7",
        "context_management": [{"type": "compaction", "compact_threshold": 100000}],
        "user": "me",
        "store": False,
        **more,
    }


@pytest.mark.parametrize("stream", [False, True])
def test_responses_requests_pass(wire: Wire, stream: bool) -> None:
    """A valid request, including unknown nested fields, is passed on unchanged."""
    request = responses_request(stream=stream)

    answer = wire.post(PATH, request)

    assert request == wire.last_request.body
    assert "/responses" == wire.last_request.path
    assert "x-copilot-proxy-notes" not in answer.headers


@pytest.mark.parametrize(
    ("sent", "reaches", "note"),
    [
        ({"store": None}, {"store": False}, None),
        ({"include": None}, {"include": ["reasoning.encrypted_content"]}, None),
        ({"store": True}, {"store": False}, None),
        ({"metadata": {"a": "b"}}, {}, "dropped metadata"),
        ({"service_tier": "priority"}, {}, "dropped service_tier"),
        ({"safety_identifier": "x"}, {}, "dropped safety_identifier"),
        ({"temperature": 0.5}, {}, "dropped temperature"),
        ({"client_metadata": {"a": "b"}}, {}, "dropped client_metadata"),
        ({"max_output_tokens": 5}, {"max_output_tokens": 16}, "changed max_output_tokens"),
        (
            {"reasoning": {"effort": "minimal"}},
            {"reasoning": {"effort": "low"}},
            "changed reasoning.effort",
        ),
    ],
)
def test_repairs_of_responses_requests(
    wire: Wire, sent: ResponsesRequest, reaches: ResponsesRequest, note: str | None
) -> None:
    """Only the fields listed here are changed, with notes about significant changes."""
    request = responses_request()

    answer = wire.post(PATH, {**request, **sent})

    dropped = {name: value for name, value in request.items() if name not in sent}
    assert {**dropped, **reaches} == wire.last_request.body
    assert (note or "") in answer.headers.get("x-copilot-proxy-notes", "")


@pytest.mark.parametrize("stream", [False, True])
def test_answers_are_sent_back_without_ids(wire: Wire, stream: bool) -> None:
    """Items of an answer are sent back to Copilot unchanged, except for ids."""
    request = responses_request(model="gpt-5.4", stream=stream)
    answer = wire.post(PATH, request)
    output = (named_events(answer.text)[-1]["response"] if stream else answer.json())["output"]
    assert ["reasoning", "message", "function_call"] == [item["type"] for item in output]
    result = {"type": "function_call_output", "call_id": output[-1]["call_id"], "output": "Rain"}
    history = [*request["input"], *output, result]

    wire.post(PATH, {**request, "input": history})

    expected = [{k: v for k, v in item.items() if k != "id"} for item in history]
    assert expected == wire.last_request.body["input"]


def pinned(value: Any) -> Any:
    """Return a value without the ids that Copilot changes in every event."""
    if isinstance(value, list):
        return [pinned(one) for one in value]
    if isinstance(value, dict):
        return {k: pinned(v) for k, v in value.items() if k not in ("id", "item_id")}
    return value


def repaired_response(response: Response) -> Response:
    """Return a response as the client receives it, except for its ids."""
    response = {"metadata": {}, **pinned(response)}
    del response["output_text"]
    if response["usage"]:
        details = {"cache_write_tokens": 0, **response["usage"]["input_tokens_details"]}
        response["usage"] = {**response["usage"], "input_tokens_details": details}
    return response


def test_whole_responses_pass(wire: Wire) -> None:
    """A response is passed on with short ids and all fields that OpenAI's schema requires."""
    answer = wire.post(PATH, responses_request()).json()

    assert repaired_response(json.loads(wire.written)) == pinned(answer)
    assert answer["id"].startswith("resp_")
    prefixes = [item["id"].partition("_")[0] for item in answer["output"]]
    assert ["rs", "msg", "fc"] == prefixes


def test_streamed_responses_pass(wire: Wire) -> None:
    """Events are passed on in order; an item has one id from start to end."""
    answer = wire.post(PATH, responses_request(stream=True))

    expected = []
    for event in named_events(wire.written):
        event = pinned(event)
        if "response" in event:
            event["response"] = repaired_response(event["response"])
        if event["type"].startswith("response.output_text."):
            event.setdefault("logprobs", [])
        if event["type"] == "response.function_call_arguments.done":
            event["name"] = "look"
        expected.append(event)
    assert expected == pinned(responses_events(answer.text))
