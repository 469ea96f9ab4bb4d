"""OpenAI's Python SDK on the Responses API, with native and translated models."""

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai.types.responses import FunctionToolParam, ResponseFunctionToolCall
from pydantic import BaseModel

from copilot_proxy.simulator import Simulator
from tests.conftest import NO_TLS, Proxy
from tests.pictures import PNG
from tests.selection import crossed

WEATHER: FunctionToolParam = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather of a city",
    "strict": False,
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}
PATHS = {
    "gpt-5.5": "/responses",
    "gpt-4o": "/chat/completions",
    "gemini-2.5-pro": "/chat/completions",
    "claude-opus-5": "/v1/messages",
}
"""Models, each with the Copilot API that is called for it."""


@pytest.fixture
def client(proxy: Proxy) -> Iterator[openai.OpenAI]:
    """The SDK without retries, so that tests see the first answer."""
    http = openai.DefaultHttpxClient(verify=NO_TLS)
    with openai.OpenAI(
        base_url=f"{proxy.url}/v1", api_key="unused", max_retries=0, http_client=http
    ) as client:
        yield client


@pytest.mark.parametrize("model", PATHS)
def test_whole_answer(client: openai.OpenAI, simulator: Simulator, model: str) -> None:
    """A model of each kind answers with text and usage."""
    response = client.responses.create(model=model, input="Say hello", instructions="Be brief.")

    assert "You said: Say hello" in response.output_text
    assert ("completed", model) == (response.status, response.model)
    assert response.usage is not None
    assert response.usage.input_tokens > 0
    assert response.usage.output_tokens > 0
    assert PATHS[model] == simulator.state.requests[-1].path


@pytest.mark.parametrize("model", PATHS)
def test_stream_helper(client: openai.OpenAI, model: str) -> None:
    """The helper finds the same text in the deltas and in the last event."""
    with client.responses.stream(model=model, input="Count to five") as stream:
        events = list(stream)
        final = stream.get_final_response()

    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert final.output_text == text
    assert "You said: Count to five" in text
    numbers = [event.sequence_number for event in events]
    assert list(range(len(numbers))) == numbers
    assert "response.completed" == events[-1].type
    assert final.usage is not None


@crossed(model=PATHS, stream=[False, True])
def test_tool_loop(client: openai.OpenAI, model: str, stream: bool) -> None:
    """Two parallel calls are made, and their results reach the model."""
    items: list[Any] = [
        {"role": "user", "content": "Use the tool: weather in Paris and London"},
    ]
    asked: Any = {"model": model, "tools": [WEATHER]}
    if stream:
        with client.responses.stream(input=items, **asked) as events:
            response: Any = events.get_final_response()
    else:
        response = client.responses.create(input=items, **asked)

    calls = [one for one in response.output if one.type == "function_call"]
    assert all(isinstance(call, ResponseFunctionToolCall) for call in calls)
    assert [("get_weather", {"city": "Paris"}), ("get_weather", {"city": "London"})] == [
        (call.name, json.loads(call.arguments)) for call in calls
    ]
    assert 2 == len({call.call_id for call in calls})

    # Send everything back with the results, as agents do.
    items += [one.to_dict() for one in response.output]
    for call, result in zip(calls, ("12 degrees", "9 degrees"), strict=True):
        items.append({"type": "function_call_output", "call_id": call.call_id, "output": result})
    final = client.responses.create(input=items, **asked)
    assert "12 degrees" in final.output_text
    assert "9 degrees" in final.output_text


@pytest.mark.parametrize("model", ["gpt-5.5", "gpt-4o"])
def test_structured_output(client: openai.OpenAI, model: str) -> None:
    """`parse` returns an object of the requested class."""

    class City(BaseModel):
        name: str
        population: int

    response = client.responses.parse(model=model, input="Tell me about Paris", text_format=City)

    assert isinstance(response.output_parsed, City)


@pytest.mark.parametrize("model", PATHS)
def test_image(client: openai.OpenAI, simulator: Simulator, model: str) -> None:
    """An image reaches the model, with the required header."""
    content: list[Any] = [
        {"type": "input_text", "text": "What is this?"},
        {
            "type": "input_image",
            "image_url": f"data:image/png;base64,{PNG}",
            "detail": "auto",
        },
    ]
    response = client.responses.create(model=model, input=[{"role": "user", "content": content}])

    assert "1 image" in response.output_text
    assert simulator.state.requests[-1].vision


@pytest.mark.parametrize("model", ["gpt-5.5", "claude-opus-5", "gemini-2.5-pro"])
def test_reasoning_summary(client: openai.OpenAI, model: str) -> None:
    """Visible reasoning arrives as a summary, in streamed and whole answers."""
    with client.responses.stream(
        model=model, input="Think", reasoning={"effort": "high", "summary": "auto"}
    ) as stream:
        events = list(stream)
        final = stream.get_final_response()

    shown = "".join(e.delta for e in events if e.type == "response.reasoning_summary_text.delta")
    summaries = [
        part.text for one in final.output if one.type == "reasoning" for part in one.summary
    ]
    assert "Reading the request" in shown
    assert shown == "".join(summaries)


def test_length(client: openai.OpenAI) -> None:
    """An answer cut off by the limit is incomplete and says why, with every kind of model."""
    for model in PATHS:
        response = client.responses.create(
            model=model, input="Write 200 words", max_output_tokens=64
        )
        assert response.incomplete_details is not None
        assert (model, "incomplete", "max_output_tokens") == (
            model,
            response.status,
            response.incomplete_details.reason,
        )


REFUSALS: dict[str, type[openai.APIStatusError]] = {
    "invalid_request_body": openai.BadRequestError,
    "forbidden": openai.PermissionDeniedError,
    "model_not_supported": openai.NotFoundError,
    "rate_limited=1": openai.RateLimitError,
    "quota_exceeded": openai.BadRequestError,
    "server_error_500": openai.InternalServerError,
    "cut_before_headers": openai.InternalServerError,
}


@crossed(model=PATHS, fault=REFUSALS)
def test_errors_raise(client: openai.OpenAI, simulator: Simulator, model: str, fault: str) -> None:
    """A failure before the answer raises the SDK's matching class, with a message and an id."""
    name, _, value = fault.partition("=")
    for stream in (False, True):
        simulator.state.faults.on(name, path=PATHS[model], value=value or None)

        with pytest.raises(REFUSALS[fault]) as raised:
            client.responses.create(model=model, input="x", stream=stream)

        assert raised.value.request_id
        assert isinstance(raised.value.body, dict)
        assert {"message", "type", "param", "code", "request_id"} <= set(raised.value.body)
        simulator.state.faults.clear()


@crossed(model=PATHS, fault=["error_chunk", "cut_mid_event", "cut_mid_stream", "end_early"])
def test_errors_in_mid_stream(
    client: openai.OpenAI, simulator: Simulator, model: str, fault: str
) -> None:
    """A failed stream ends with an error event, and is never taken for a complete answer."""
    simulator.state.faults.on(fault, path=PATHS[model])

    events = list(client.responses.create(model=model, input="Hello", stream=True))

    assert events[-1].type in ("response.failed", "error")
    assert "response.completed" not in {event.type for event in events}
    failed = events[-1]
    if failed.type == "response.failed":
        assert failed.response.error is not None
        assert failed.response.error.message


def test_stored_responses_are_not_found(client: openai.OpenAI) -> None:
    """Requests that need stored responses raise the SDK's matching class."""
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve("resp_1")
    with pytest.raises(openai.BadRequestError) as raised:
        client.responses.create(model="gpt-5.5", input="Hi", previous_response_id="resp_1")
    assert "previous_response_not_found" == raised.value.code
