"""Anthropic's Python SDK, with Claude natively and other vendors' models by translation."""

from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from anthropic.types import MessageParam, ToolParam

from copilot_proxy.simulator import Simulator
from tests.conftest import NO_TLS, Proxy, settings_at
from tests.pictures import PNG
from tests.selection import crossed

WEATHER: ToolParam = {
    "name": "get_weather",
    "description": "The weather of a city",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}
PATHS = {
    "claude-sonnet-4.5": "/v1/messages",
    "claude-opus-5": "/v1/messages",
    "gpt-5.5": "/responses",
    "gpt-4o": "/chat/completions",
    "gemini-2.5-pro": "/chat/completions",
}
"""Models, each with the Copilot API that is called for it."""


@pytest.fixture
def client(proxy: Proxy) -> Iterator[anthropic.Anthropic]:
    """The SDK without retries, so that tests see the first answer."""
    http = anthropic.DefaultHttpxClient(verify=NO_TLS)
    with anthropic.Anthropic(
        base_url=proxy.url, api_key="unused", max_retries=0, http_client=http
    ) as client:
        yield client


def user(content: Any) -> list[MessageParam]:
    return [{"role": "user", "content": content}]


def text_of(message: Any) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


@pytest.mark.parametrize("model", PATHS)
def test_whole_answer(client: anthropic.Anthropic, simulator: Simulator, model: str) -> None:
    """A model of each kind answers with text, stop reason and usage."""
    message = client.messages.create(
        model=model, max_tokens=1000, system="Be brief.", messages=user("Say hello")
    )

    assert "You said: Say hello" in text_of(message)
    assert ("end_turn", "assistant") == (message.stop_reason, message.role)
    assert message.usage.input_tokens > 0
    assert message.usage.output_tokens > 0
    assert PATHS[model] == simulator.state.requests[-1].path


@pytest.mark.parametrize("model", PATHS)
def test_stream_helper(client: anthropic.Anthropic, model: str) -> None:
    """The helper's message equals the message of a whole answer."""
    with client.messages.stream(
        model=model, max_tokens=1000, messages=user("Count to five")
    ) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()

    assert "You said: Count to five" in text
    assert text_of(final) == text
    assert "end_turn" == final.stop_reason
    assert final.usage.output_tokens > 0


@crossed(model=PATHS, stream=[False, True])
def test_tool_loop(client: anthropic.Anthropic, model: str, stream: bool) -> None:
    """Two parallel calls are made, and their results reach the model."""
    messages = user("Use the tool: weather in Paris and London")
    asked: Any = {"model": model, "max_tokens": 1000, "tools": [WEATHER]}
    if stream:
        with client.messages.stream(messages=messages, **asked) as events:
            message: Any = events.get_final_message()
    else:
        message = client.messages.create(messages=messages, **asked)

    calls = [block for block in message.content if block.type == "tool_use"]
    assert "tool_use" == message.stop_reason
    assert [("get_weather", {"city": "Paris"}), ("get_weather", {"city": "London"})] == [
        (call.name, call.input) for call in calls
    ]
    assert 2 == len({call.id for call in calls})

    messages.append({"role": "assistant", "content": message.content})
    results = zip(calls, ("12 degrees", "9 degrees"), strict=True)
    messages += user(
        [
            {"type": "tool_result", "tool_use_id": call.id, "content": result}
            for call, result in results
        ]
    )
    answer = text_of(client.messages.create(messages=messages, **asked))
    assert "12 degrees" in answer
    assert "9 degrees" in answer


@pytest.mark.parametrize("model", PATHS)
def test_image(client: anthropic.Anthropic, simulator: Simulator, model: str) -> None:
    """An image reaches the model, with the required header."""
    source = {"type": "base64", "media_type": "image/png", "data": PNG}
    content = [{"type": "image", "source": source}, {"type": "text", "text": "What is this?"}]

    message = client.messages.create(model=model, max_tokens=1000, messages=user(content))

    assert "1 image" in text_of(message)
    assert simulator.state.requests[-1].vision


@pytest.mark.parametrize(
    ("model", "thinking"),
    [
        ("claude-sonnet-4.5", {"type": "enabled", "budget_tokens": 1024}),
        ("claude-opus-5", {"type": "adaptive", "display": "summarized"}),
        ("gpt-5.5", {"type": "enabled", "budget_tokens": 4096}),
        ("gemini-2.5-pro", {"type": "enabled", "budget_tokens": 4096}),
    ],
)
def test_thinking(client: anthropic.Anthropic, model: str, thinking: Any) -> None:
    """Thinking is streamed in a block before the text, and accepted when sent back."""
    messages = user("Think about it")
    asked: Any = {"model": model, "max_tokens": 8000, "thinking": thinking}
    with client.messages.stream(messages=messages, **asked) as stream:
        message = stream.get_final_message()

    assert ["thinking", "text"] == [block.type for block in message.content]
    assert "Reading the request" in getattr(message.content[0], "thinking", "")
    messages += [{"role": "assistant", "content": message.content}, *user("And now?")]
    assert "And now?" in text_of(client.messages.create(messages=messages, **asked))


@pytest.mark.parametrize("model", PATHS)
def test_count_tokens(client: anthropic.Anthropic, model: str) -> None:
    """Tokens are counted by Copilot, or estimated with a note."""
    count = client.messages.with_raw_response.count_tokens(
        model=model, messages=user("How many tokens are these?")
    )

    assert 5 <= count.parse().input_tokens <= 40
    notes = count.headers.get("x-copilot-proxy-notes", "")
    assert ("estimated" not in notes) == (PATHS[model] == "/v1/messages")


def test_models(client: anthropic.Anthropic) -> None:
    """The SDK lists and retrieves models; an unknown model is not found."""
    page = client.models.list(limit=1000)

    assert set(PATHS) <= {model.id for model in page.data}
    assert "claude-opus-5" == client.models.retrieve("claude-opus-5").id
    assert "Claude Sonnet 4.5" == client.models.retrieve("claude-sonnet-4-5-20250929").display_name
    with pytest.raises(anthropic.NotFoundError):
        client.models.retrieve("no/such-model")


REFUSALS: dict[str, tuple[type[anthropic.APIStatusError], str]] = {
    "invalid_request_body": (anthropic.BadRequestError, "invalid_request_error"),
    "forbidden": (anthropic.PermissionDeniedError, "permission_error"),
    "model_not_supported": (anthropic.NotFoundError, "not_found_error"),
    "rate_limited=1": (anthropic.RateLimitError, "rate_limit_error"),
    "quota_exceeded": (anthropic.APIStatusError, "billing_error"),
    "server_error_500": (anthropic.InternalServerError, "api_error"),
    "cut_before_headers": (anthropic.InternalServerError, "api_error"),
}


@crossed(model=PATHS, fault=REFUSALS)
def test_errors_raise(
    client: anthropic.Anthropic, simulator: Simulator, model: str, fault: str
) -> None:
    """A failure before the answer raises the SDK's matching class, in Anthropic's format."""
    error, kind = REFUSALS[fault]
    name, _, value = fault.partition("=")
    for stream in (False, True):
        simulator.state.faults.on(name, path=PATHS[model], value=value or None)

        with pytest.raises(error) as raised:
            client.messages.create(model=model, max_tokens=9, messages=user("x"), stream=stream)

        assert raised.value.request_id
        assert isinstance(raised.value.body, dict)
        assert ("error", kind) == (raised.value.body["type"], raised.value.body["error"]["type"])
        simulator.state.faults.clear()


@crossed(model=PATHS, fault=["error_chunk", "cut_mid_event", "cut_mid_stream", "end_early"])
def test_errors_in_mid_stream_raise(
    client: anthropic.Anthropic, simulator: Simulator, model: str, fault: str
) -> None:
    """A failed stream raises an error, and is never taken for a complete answer."""
    simulator.state.faults.on(fault, path=PATHS[model])

    with (
        pytest.raises(anthropic.APIError) as raised,
        client.messages.stream(model=model, max_tokens=1000, messages=user("Hello")) as stream,
    ):
        stream.get_final_message()

    assert raised.value.message


@pytest.mark.parametrize("given", [{"api_key": "my-key"}, {"auth_token": "my-key"}])
def test_key(simulator: Simulator, given: dict[str, str]) -> None:
    """The server's key is accepted as x-api-key and as Bearer; any other key raises an error."""
    with Proxy(settings_at(simulator, api_key="my-key")) as proxy:
        asked: Any = {"model": "gpt-4o", "max_tokens": 100, "messages": user("Hi")}
        with anthropic.Anthropic(base_url=proxy.url, **given) as client:  # type: ignore[arg-type]
            assert "Hi" in text_of(client.messages.create(**asked))
        with (
            anthropic.Anthropic(base_url=proxy.url, api_key="other") as stranger,
            pytest.raises(anthropic.AuthenticationError),
        ):
            stranger.messages.create(**asked)
