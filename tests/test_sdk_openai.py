"""OpenAI's Python SDK against the running server."""

import asyncio
import base64
import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam
from pydantic import BaseModel

from copilot_proxy.simulator import Simulator
from tests.conftest import NO_TLS, Proxy
from tests.selection import crossed, every_value

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
WEATHER: ChatCompletionToolParam = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}
VENDORS = ("gpt-4o", "gpt-5-mini", "claude-sonnet-4.5", "gemini-2.5-pro")


@pytest.fixture
def client(proxy: Proxy) -> Iterator[openai.OpenAI]:
    """The SDK without retries, so that tests see the first answer."""
    http = openai.DefaultHttpxClient(verify=NO_TLS)
    with openai.OpenAI(
        base_url=f"{proxy.url}/v1", api_key="unused", max_retries=0, http_client=http
    ) as client:
        yield client


def user(text: str) -> list[ChatCompletionMessageParam]:
    return [{"role": "user", "content": text}]


@pytest.mark.parametrize("model", VENDORS)
def test_whole_answer(client: openai.OpenAI, model: str) -> None:
    """A model of each vendor answers with text, finish reason, usage and the requested name."""
    completion = client.chat.completions.create(model=model, messages=user("Say hello"))

    choice = completion.choices[0]
    assert choice.message.content is not None
    assert "You said: Say hello" in choice.message.content
    assert ("stop", "assistant", model) == (
        choice.finish_reason,
        choice.message.role,
        completion.model,
    )
    assert completion.usage is not None
    assert completion.usage.prompt_tokens > 0
    assert completion.usage.completion_tokens > 0


@pytest.mark.parametrize("model", VENDORS)
def test_streamed_answer(client: openai.OpenAI, model: str) -> None:
    """A stream has one id, one choice per chunk, one finish reason, and a whole answer's text."""
    whole = client.chat.completions.create(model=model, messages=user("Count to five"))
    chunks = list(
        client.chat.completions.create(model=model, messages=user("Count to five"), stream=True)
    )

    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert whole.choices[0].message.content == text
    assert 1 == len({chunk.id for chunk in chunks})
    assert "assistant" == chunks[0].choices[0].delta.role
    reasons = [chunk.choices[0].finish_reason for chunk in chunks]
    assert ["stop"] == [reason for reason in reasons if reason]
    assert "stop" == reasons[-1]
    assert all(chunk.usage is None for chunk in chunks)


@pytest.mark.parametrize("model", VENDORS)
def test_usage_of_a_stream(client: openai.OpenAI, model: str) -> None:
    """With include_usage, the last chunk has the usage and no choices."""
    chunks = list(
        client.chat.completions.create(
            model=model,
            messages=user("Hello"),
            stream=True,
            stream_options={"include_usage": True},
        )
    )

    assert [] == chunks[-1].choices
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens > 0
    assert all(chunk.choices and chunk.usage is None for chunk in chunks[:-1])


@crossed(model=VENDORS, stream=[False, True])
def test_tool_loop(client: openai.OpenAI, model: str, stream: bool) -> None:
    """Two parallel calls are made, and their results reach the model."""
    messages = user("Use the tool: weather in Paris and London")
    if stream:
        with client.chat.completions.stream(
            model=model, messages=messages, tools=[WEATHER]
        ) as events:
            choice: Any = events.get_final_completion().choices[0]
    else:
        choice = client.chat.completions.create(
            model=model, messages=messages, tools=[WEATHER]
        ).choices[0]

    calls = choice.message.tool_calls or []
    assert "tool_calls" == choice.finish_reason
    assert [("get_weather", {"city": "Paris"}), ("get_weather", {"city": "London"})] == [
        (call.function.name, json.loads(call.function.arguments))
        for call in calls
        if call.type == "function"
    ]
    assert 2 == len({call.id for call in calls})

    messages.append(choice.message.model_dump())
    for call, result in zip(calls, ("12 degrees", "9 degrees"), strict=True):
        messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
    final = client.chat.completions.create(model=model, messages=messages, tools=[WEATHER])
    answer = final.choices[0].message.content or ""
    assert "12 degrees" in answer
    assert "9 degrees" in answer


def test_tool_without_arguments(client: openai.OpenAI) -> None:
    """A call without arguments has `{}` as arguments, in whole and streamed answers."""
    tool: ChatCompletionToolParam = {"type": "function", "function": {"name": "get_time"}}
    for stream in (False, True):
        if stream:
            with client.chat.completions.stream(
                model="claude-sonnet-4.5", messages=user("Call get_time"), tools=[tool]
            ) as events:
                message = events.get_final_completion().choices[0].message
        else:
            message = (
                client.chat.completions.create(  # type: ignore[assignment]
                    model="claude-sonnet-4.5", messages=user("Call get_time"), tools=[tool]
                )
                .choices[0]
                .message
            )
        assert message.tool_calls is not None
        assert "{}" == message.tool_calls[0].function.arguments


def test_structured_output(client: openai.OpenAI) -> None:
    """`parse` returns an object of the requested class."""

    class City(BaseModel):
        name: str
        population: int

    completion = client.chat.completions.parse(
        model="gpt-4.1", messages=user("Tell me about Paris"), response_format=City
    )

    assert isinstance(completion.choices[0].message.parsed, City)


@pytest.mark.parametrize("model", VENDORS)
def test_image(client: openai.OpenAI, simulator: Simulator, model: str) -> None:
    """An image reaches the model, even from an earlier turn, with the required header."""
    url = "data:image/png;base64," + base64.b64encode(PNG).decode()
    messages: list[ChatCompletionMessageParam] = [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image_url", "image_url": {"url": url}},
            ],
        },
        {"role": "assistant", "content": "A dot."},
        {"role": "user", "content": "Are you sure?"},
    ]

    answer = client.chat.completions.create(model=model, messages=messages)

    assert "1 image" in (answer.choices[0].message.content or "")
    assert simulator.state.requests[-1].vision


def test_length(client: openai.OpenAI) -> None:
    """Both names of the token limit work, with models of every vendor."""
    for model in VENDORS:
        limits: list[Any] = [{"max_tokens": 16}, {"max_completion_tokens": 16}]
        for limit in limits:
            answer = client.chat.completions.create(
                model=model,
                messages=user("Write 200 words"),
                **limit,
            )
            assert (model, "length") == (model, answer.choices[0].finish_reason)


@every_value
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("invalid_request_body", openai.BadRequestError),
        ("prompt_too_long", openai.BadRequestError),
        ("forbidden", openai.PermissionDeniedError),
        ("model_not_supported", openai.NotFoundError),
        ("rate_limited=1", openai.RateLimitError),
        ("quota_exceeded", openai.BadRequestError),
        ("server_error_500", openai.InternalServerError),
        ("bad_gateway_html", openai.InternalServerError),
        ("cut_before_headers", openai.InternalServerError),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_errors_raise(
    client: openai.OpenAI,
    simulator: Simulator,
    fault: str,
    error: type[openai.APIStatusError],
    stream: bool,
) -> None:
    """A failure before the answer raises the SDK's matching class, with a message and an id."""
    name, _, value = fault.partition("=")
    simulator.state.faults.on(name, path="/chat/completions", value=value or None)

    with pytest.raises(error) as raised:
        list(client.chat.completions.create(model="gpt-4o", messages=user("x"), stream=stream))

    assert raised.value.request_id
    assert isinstance(raised.value.body, dict)
    assert {"message", "type", "param", "code", "request_id"} <= set(raised.value.body)
    assert raised.value.body["message"]


@pytest.mark.parametrize(
    "fault",
    [
        "error_chunk",
        "cut_mid_event",
        "cut_mid_stream",
        "end_early",
        "invalid_json_event",
        "finish_error",
    ],
)
def test_errors_in_mid_stream_raise(
    client: openai.OpenAI, simulator: Simulator, fault: str
) -> None:
    """A failed stream raises an error, and is never taken for a complete answer."""
    simulator.state.faults.on(fault, path="/chat/completions")

    stream = client.chat.completions.create(model="gpt-4o", messages=user("Hello"), stream=True)
    with pytest.raises(openai.APIError) as raised:
        for chunk in stream:
            assert not chunk.choices[0].finish_reason

    assert raised.value.message


def test_quota_is_not_retried(proxy: Proxy, simulator: Simulator) -> None:
    """A used-up quota is final, unlike a rate limit."""
    simulator.state.faults.on("quota_exceeded", path="/chat/completions")

    with (
        openai.OpenAI(base_url=f"{proxy.url}/v1", api_key="unused") as client,
        pytest.raises(openai.BadRequestError),
    ):
        client.chat.completions.create(model="gpt-4o", messages=user("x"))

    asked = [r for r in simulator.state.requests if r.path == "/chat/completions"]
    assert 1 == len(asked)


async def test_async_client(proxy: Proxy) -> None:
    """Each of several concurrent requests from the async SDK receives its own answer."""
    async with openai.AsyncOpenAI(base_url=f"{proxy.url}/v1", api_key="unused") as client:

        async def ask(number: int) -> str:
            stream = await client.chat.completions.create(
                model="gpt-4o", messages=user(f"Number {number}!"), stream=True
            )
            return "".join([c.choices[0].delta.content or "" async for c in stream])

        answers = await asyncio.gather(*map(ask, range(20)))

    assert all(f"Number {number}!" in answer for number, answer in enumerate(answers))


def test_models(client: openai.OpenAI) -> None:
    """The SDK lists and retrieves models; an unknown model is not found."""
    ids = [model.id for model in client.models.list()]

    assert "gpt-4o" in ids
    assert len(ids) == len(set(ids))
    assert "gpt-4o" == client.models.retrieve("gpt-4o").id
    with pytest.raises(openai.NotFoundError) as raised:
        client.models.retrieve("no/such-model")
    assert "model_not_found" == raised.value.code
