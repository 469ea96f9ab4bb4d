"""Clients that use `functions` and `function_call`, the predecessors of `tools`."""

import json
from typing import Any

import httpx
import pytest

from copilot_proxy.formats.types import Json
from copilot_proxy.simulator import Simulator
from tests.matrix_clients import ABOUT, SCHEMA, TOOL

MODELS = ("gpt-6.2-sol", "claude-sonnet-4.6", "claude-opus-5.5", "gemini-4-argon", "kimi-k3")
FUNCTION = {"name": TOOL, "description": ABOUT, "parameters": SCHEMA}
QUESTION = {"role": "user", "content": f'Call {TOOL} for "Paris"'}


def ask(http: httpx.Client, model: str, *messages: Json, stream: bool, **fields: Any) -> Json:
    """Return the message of an answer, with its finish reason."""
    body = {"model": model, "messages": messages, "functions": [FUNCTION], **fields}
    answer = http.post("/v1/chat/completions", json={**body, "stream": stream})
    assert 200 == answer.status_code, answer.text
    if not stream:
        (choice,) = answer.json()["choices"]
        return {**choice["message"], "finish": choice["finish_reason"]}
    lines = [line[6:] for line in answer.text.splitlines() if line.startswith("data: {")]
    said: Json = {"content": ""}
    for choice in (one for line in lines for one in json.loads(line)["choices"]):
        said["content"] += choice["delta"].get("content") or ""
        part = choice["delta"].get("function_call")
        assert "tool_calls" not in choice["delta"]
        if part:
            call = said.setdefault("function_call", {"arguments": ""})
            call["arguments"] += part["arguments"]
            call["name"] = part.get("name") or call["name"]
        said["finish"] = choice["finish_reason"]
    return said


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", MODELS)
def test_a_call_and_its_result(http: httpx.Client, model: str, stream: bool) -> None:
    """The call and the finish reason have the older format, and the result reaches the model."""
    called = ask(http, model, QUESTION, stream=stream)

    call = called["function_call"]
    assert (TOOL, "function_call") == (call["name"], called["finish"])
    assert ["city"] == list(json.loads(call["arguments"]))

    if model.startswith("gemini"):
        return  # accepts only calls with a signature, which this format cannot contain
    answered = ask(
        http,
        model,
        QUESTION,
        {"role": "assistant", "content": None, "function_call": call},
        {"role": "function", "name": TOOL, "content": "sunny"},
        stream=stream,
    )

    assert "stop" == answered["finish"]
    assert "sunny" in answered["content"]


@pytest.mark.parametrize("model", ["gpt-6.2-sol", "claude-sonnet-4.6"])
def test_a_choice(http: httpx.Client, simulator: Simulator, model: str) -> None:
    """A call can be forced or forbidden, and nothing in the older format reaches Copilot."""
    forced = ask(
        http,
        model,
        {"role": "user", "content": "Hi"},
        stream=False,
        function_call={"name": TOOL},
    )
    forbidden = ask(http, model, QUESTION, stream=False, function_call="none")

    assert TOOL == forced["function_call"]["name"]
    assert "function_call" not in forbidden
    sent = simulator.state.requests[-1].body
    assert not {"functions", "function_call", "legacy_functions"} & set(sent)


def test_results_without_functions(http: httpx.Client) -> None:
    """A conversation that began with functions can continue without them."""
    messages = [
        QUESTION,
        {"role": "assistant", "content": "", "function_call": {"name": TOOL, "arguments": "{}"}},
        {"role": "function", "name": TOOL, "content": "sunny"},
    ]

    answer = http.post("/v1/chat/completions", json={"model": MODELS[0], "messages": messages})

    assert "sunny" in answer.json()["choices"][0]["message"]["content"]
