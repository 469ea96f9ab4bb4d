"""Custom tools, namespaces and tool searches, with OpenAI's SDK and models that lack them."""

from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletionMessageCustomToolCall
from openai.types.responses import (
    ResponseCustomToolCall,
    ResponseFunctionToolCall,
    ResponseToolSearchCall,
)

from copilot_proxy.simulator import Simulator
from tests.conftest import NO_TLS, Proxy, settings_at
from tests.selection import crossed

MODELS = {
    "gpt-4o": "/chat/completions",
    "gemini-2.5-pro": "/chat/completions",
    "claude-sonnet-4.5": "/chat/completions",
    "gpt-5.1-codex": "/responses",
    "claude-opus-5": "/v1/messages",
}
"""Models that only support functions, each with the Copilot API that answers for it."""
GRAMMAR: Any = {"syntax": "lark", "definition": "start: /.+/"}
PATCH: Any = {
    "type": "custom",
    "custom": {"name": "apply_patch", "format": {"type": "grammar", "grammar": GRAMMAR}},
}
FLAT_PATCH: Any = {
    "type": "custom",
    "name": "apply_patch",
    "format": {"type": "grammar", **GRAMMAR},
}
QUERY = {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}
SEARCH: Any = {"type": "tool_search", "execution": "client", "parameters": QUERY}
PHASE = {"type": "function", "name": "phase", "parameters": QUERY, "strict": False}
MOON: Any = {"type": "namespace", "name": "mcp__moon", "description": "The moon.", "tools": [PHASE]}
ASKED = 'Call apply_patch with "*** Begin"'


def connected(proxy: Proxy) -> openai.OpenAI:
    """Return the SDK without retries, so that tests see the first answer."""
    http = openai.DefaultHttpxClient(verify=NO_TLS)
    return openai.OpenAI(
        base_url=f"{proxy.url}/v1", api_key="unused", max_retries=0, http_client=http
    )


@pytest.fixture
def client(proxy: Proxy) -> Iterator[openai.OpenAI]:
    with connected(proxy) as client:
        yield client


@pytest.mark.parametrize("model", MODELS)
def test_a_custom_tool_on_chat(client: openai.OpenAI, simulator: Simulator, model: str) -> None:
    """The call is a custom tool call, and its result reaches the model."""
    asked: Any = {"role": "user", "content": ASKED}
    chosen: Any = {"type": "custom", "custom": {"name": "apply_patch"}}

    first = client.chat.completions.create(
        model=model, messages=[asked], tools=[PATCH], tool_choice=chosen
    )

    sent = str(simulator.state.requests[-1].body)
    assert MODELS[model] == simulator.state.requests[-1].path
    assert "start: /.+/" in sent
    assert "'custom'" not in sent
    assert "tool_calls" == first.choices[0].finish_reason
    message = first.choices[0].message
    (call,) = message.tool_calls or []
    assert isinstance(call, ChatCompletionMessageCustomToolCall)
    assert ("apply_patch", True) == (call.custom.name, bool(call.custom.input))
    assert not call.custom.input.startswith("{")

    history: Any = [
        asked,
        message.to_dict(),
        {
            "role": "tool",
            "tool_call_id": call.id,
            "content": [{"type": "tool_reference", "tool_name": "apply_patch"}],
        },
    ]
    second = client.chat.completions.create(model=model, messages=history, tools=[PATCH])

    assert "stop" == second.choices[0].finish_reason
    assert "Found the tool apply_patch" in str(simulator.state.requests[-1].body)


@pytest.mark.parametrize("model", MODELS)
def test_a_streamed_custom_tool_on_chat(client: openai.OpenAI, model: str) -> None:
    """The pieces of the input add up to the input of the whole answer."""
    asked: Any = {
        "model": model,
        "messages": [{"role": "user", "content": ASKED}],
        "tools": [PATCH],
        "tool_choice": "required",
    }
    whole = client.chat.completions.create(**asked).choices[0].message.tool_calls

    deltas = [
        call
        for chunk in client.chat.completions.create(**asked, stream=True)
        for choice in chunk.choices
        for call in choice.delta.model_dump(exclude_none=True).get("tool_calls", [])
    ]

    assert whole is not None
    assert isinstance(whole[0], ChatCompletionMessageCustomToolCall)
    assert ("custom", "apply_patch") == (deltas[0]["type"], deltas[0]["custom"]["name"])
    assert whole[0].custom.input == "".join(delta["custom"]["input"] for delta in deltas)


@crossed(model=MODELS, stream=[False, True])
def test_tools_on_responses(
    client: openai.OpenAI, simulator: Simulator, model: str, stream: bool
) -> None:
    """Every kind of tool is called in its own format, and the conversation continues."""
    items: list[Any] = [
        {"type": "additional_tools", "role": "developer", "tools": [FLAT_PATCH, MOON]},
        {"role": "user", "content": "Call the tools"},
    ]
    kinds: list[Any] = [
        ({"type": "custom", "name": "apply_patch"}, ResponseCustomToolCall),
        ({"type": "function", "name": "phase", "namespace": "mcp__moon"}, ResponseFunctionToolCall),
        (
            {"type": "allowed_tools", "mode": "required", "tools": [{"type": "tool_search"}]},
            ResponseToolSearchCall,
        ),
    ]
    for choice, kind in kinds:
        asked: Any = {"model": model, "input": items, "tools": [SEARCH], "tool_choice": choice}
        if stream:
            with client.responses.stream(**asked) as events:
                list(events)
                response = events.get_final_response()
        else:
            response = client.responses.create(**asked)

        (call,) = [item for item in response.output if item.type.endswith("_call")]
        assert isinstance(call, kind)
        if isinstance(call, ResponseFunctionToolCall):
            assert ("phase", "mcp__moon") == (call.name, call.namespace)
        items += [item.to_dict() for item in response.output]
        items.append(_output(call.to_dict()))
    answer = client.responses.create(model=model, input=items, tools=[SEARCH])

    assert "completed" == answer.status
    sent = str(simulator.state.requests[-1].body)
    assert not [word for word in ("namespace", "custom_tool", "search_call") if word in sent]
    assert "mcp__moon__phase" in sent


def _output(call: Any) -> Any:
    if call["type"] == "tool_search_call":
        found = {"execution": "client", "status": "completed", "tools": [MOON]}
        return {"type": "tool_search_output", "call_id": call["call_id"], **found}
    return {"type": f"{call['type']}_output", "call_id": call["call_id"], "output": "Done."}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("model", "in_items"), [("gpt-6.1-sol", True), ("gpt-5.6-luna", False)])
def test_native_tools_on_responses(model: str, in_items: bool, stream: bool) -> None:
    """A model that supports every kind of tool gets them unchanged; its calls reach the client."""
    items: list[Any] = [
        {"type": "additional_tools", "role": "developer", "tools": [FLAT_PATCH, MOON]},
        {"role": "user", "content": "Call the tools"},
    ]
    choices: list[Any] = [
        ({"type": "custom", "name": "apply_patch"}, ResponseCustomToolCall),
        ({"type": "function", "name": "phase"}, ResponseFunctionToolCall),
    ]
    with Simulator(catalogue="2026-11", pace=0) as simulator:
        with Proxy(settings_at(simulator)) as proxy, connected(proxy) as client:
            for choice, kind in choices:
                asked: Any = {"model": model, "input": items, "tool_choice": choice}
                if stream:
                    with client.responses.stream(**asked) as events:
                        list(events)
                        response = events.get_final_response()
                else:
                    response = client.responses.create(**asked)
                (call,) = [item for item in response.output if item.type.endswith("_call")]
                assert isinstance(call, kind)
                if isinstance(call, ResponseFunctionToolCall):
                    assert "mcp__moon" == call.namespace
                items += [item.to_dict() for item in response.output]
                items.append(_output(call.to_dict()))
        body = simulator.state.requests[-1].body

    assert in_items is (body["input"][0].get("type") == "additional_tools")
    holder = body["input"][0] if in_items else body
    assert ["custom", "namespace"] == [tool["type"] for tool in holder["tools"]]
    assert "custom_tool_call" in [item.get("type") for item in body["input"]]
