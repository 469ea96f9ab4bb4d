"""Anthropic's Python SDK with its betas: message threads, context management."""

from collections.abc import Iterator
from typing import Any, cast

import anthropic
import pytest
from anthropic import beta_tool
from anthropic.types import ThreadUnsupportedRequestError

from copilot_proxy.simulator import Simulator
from tests.conftest import NO_TLS, Proxy
from tests.selection import crossed
from tests.test_sdk_anthropic import PATHS, text_of, user

THREADS_BETA = "message-threads-2026-08-12"
CONTEXT_BETA = "context-management-2025-06-27"
CLAUDE = "claude-sonnet-4.5"
EDITS: Any = {"edits": [{"type": "clear_tool_uses_20250919"}]}


@pytest.fixture
def client(proxy: Proxy) -> Iterator[anthropic.Anthropic]:
    """The SDK without retries, so that tests see the first answer."""
    http = anthropic.DefaultHttpxClient(verify=NO_TLS)
    with anthropic.Anthropic(
        base_url=proxy.url, api_key="unused", max_retries=0, http_client=http
    ) as client:
        yield client


@beta_tool
def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"12 degrees in {city}"


@crossed(model=PATHS, stream=[False, True])
def test_tool_runner(
    client: anthropic.Anthropic, simulator: Simulator, model: str, stream: bool
) -> None:
    """The tool runner first creates a thread, is refused, and then sends the whole conversation."""
    asked: Any = {"model": model, "max_tokens": 1000, "tools": [get_weather], "stream": stream}
    runner: Any = client.beta.messages.tool_runner(
        messages=cast("Any", user("Use the tool: weather in Paris and London")), **asked
    )

    answer = text_of(runner.until_done())

    assert "12 degrees in Paris" in answer
    assert "12 degrees in London" in answer
    last = simulator.state.requests[-1].body
    assert 3 <= len(last.get("messages") or last["input"])


@pytest.mark.parametrize("thread", [{"type": "create"}, {"type": "continue"}])
@pytest.mark.parametrize("model", PATHS)
def test_threads_are_refused(
    client: anthropic.Anthropic, simulator: Simulator, model: str, thread: Any
) -> None:
    """The SDK gets the class and details of Anthropic's own error; nothing is sent to Copilot."""
    with pytest.raises(ThreadUnsupportedRequestError) as raised:
        client.beta.messages.create(
            model=model,
            max_tokens=9,
            messages=cast("Any", user("Hi")),
            betas=[THREADS_BETA],
            extra_body={"thread": thread},
        )

    assert 400 == raised.value.status_code
    assert ["thread"] == raised.value.details.unsupported
    assert isinstance(raised.value.body, dict)
    error = raised.value.body["error"]
    assert ("error", "invalid_request_error") == (raised.value.body["type"], error["type"])
    assert {"error_code": "thread_unsupported_request", "unsupported": ["thread"]} == error[
        "details"
    ]
    assert all("messages" not in (request.body or {}) for request in simulator.state.requests)


@pytest.mark.parametrize("model", PATHS)
def test_context_management_is_reported_if_requested(
    client: anthropic.Anthropic, model: str
) -> None:
    """Only clients that request `context_management` from Claude receive it."""
    asked: Any = {"model": model, "max_tokens": 1000, "messages": user("Hi")}
    wanted: Any = {"context_management": EDITS, "betas": [CONTEXT_BETA], **asked}
    is_native = PATHS[model] == "/v1/messages"

    for request, expected in ((asked, False), (wanted, is_native)):
        whole = client.beta.messages.create(**request)
        with client.beta.messages.create(**request, stream=True) as stream:
            deltas = [event for event in stream if event.type == "message_delta"]

        assert expected == ("context_management" in whole.model_fields_set)
        assert [expected] == ["context_management" in one.model_fields_set for one in deltas]
