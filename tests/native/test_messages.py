"""Native Messages: requests and answers pass through unchanged."""

import json
from typing import Any

import pytest

from copilot_proxy.formats.types import Json, MessagesEvent, MessagesRequest
from copilot_proxy.simulator import Simulator
from tests.grammars import fold_message, messages_events, named_events
from tests.matrix_clients import PNG, SCHEMA
from tests.native.conftest import NEW, Wire
from tests.selection import every_value

PATH = "/v1/messages"
MARK: Json = {"cache_control": {"type": "ephemeral"}}


def messages_request(**more: Any) -> MessagesRequest:
    """Return a long conversation with all fields of the Messages API."""
    source = {"type": "base64", "media_type": "image/png", "data": PNG}
    image = {"type": "image", "source": source}
    return {
        "model": "claude-sonnet-4.5",
        "max_tokens": 3000,
        "system": [{"type": "text", "text": "Be brief."}, {"type": "text", "text": "S", **MARK}],
        "messages": [
            {"role": "user", "content": "Hi"},
            {
                "role": "assistant",
                "content": [
                    {"type": "text", "text": "Hm."},
                    {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"a": [1]}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "toolu_1",
                        "content": [{"type": "text", "text": "See"}, image],
                        "is_error": False,
                    },
                    {"type": "text", "text": "Look in Paris, please.", NEW: 1, **MARK},
                ],
            },
        ],
        "tools": [{"name": "look", "description": "Looks", "input_schema": SCHEMA, **MARK}],
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
        "stop_sequences": ["END"],
        "metadata": {"user_id": "me"},
        **more,
    }


THINKS: Json = {"thinking": {"type": "enabled", "budget_tokens": 2000}}
ADAPTIVE: Json = {
    "model": "claude-sonnet-5",
    "thinking": {"type": "adaptive"},
    "output_config": {"effort": "high"},
}
FRESH: Json = {"messages": [{"role": "user", "content": "Look in Paris."}]}


@every_value
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"temperature": 0.3},
        {**FRESH, **THINKS},
        {**FRESH, **ADAPTIVE},
        {"tool_choice": {"type": "tool", "name": "look"}, "top_k": 5},
    ],
)
def test_messages_requests_pass(wire: Wire, more: Json, stream: bool) -> None:
    """A valid request, including cache_control and thinking, is passed on unchanged."""
    request = messages_request(stream=stream, **more)

    answer = wire.post(PATH, request)

    assert request == wire.last_request.body
    assert ("/v1/messages", "") == (wire.last_request.path, wire.last_request.query)
    assert "x-copilot-proxy-notes" not in answer.headers


@pytest.mark.parametrize(
    ("sent", "reaches", "note"),
    [
        ({"model": "claude-sonnet-4-5-20250929"}, {"model": "claude-sonnet-4.5"}, None),
        ({"speed": "fast"}, {}, "dropped speed"),
        ({NEW: 1}, {}, f"dropped {NEW}"),
        (
            {
                "system": [
                    {
                        "type": "text",
                        "text": "S",
                        "cache_control": {"type": "ephemeral", "scope": "global"},
                    }
                ]
            },
            {"system": [{"type": "text", "text": "S", **MARK}]},
            "removed scope from cache_control",
        ),
        (
            {"thinking": {"type": "adaptive"}, **FRESH},
            {"thinking": {"type": "enabled", "budget_tokens": 1500}, **FRESH},
            "changed thinking",
        ),
        (
            {"messages": [*FRESH["messages"], {"role": "assistant", "content": "I"}]},
            {
                "messages": [
                    *FRESH["messages"],
                    {"role": "assistant", "content": "I"},
                    {"role": "user", "content": "Please continue."},
                ]
            },
            "added a user message",
        ),
    ],
)
def test_repairs_of_messages_requests(
    wire: Wire, sent: MessagesRequest, reaches: MessagesRequest, note: str | None
) -> None:
    """Only fields that Copilot refuses are changed, with notes about significant changes."""
    request = messages_request()

    answer = wire.post(PATH, {**request, **sent})

    dropped = {name: value for name, value in request.items() if name not in sent}
    assert {**dropped, **reaches} == wire.last_request.body
    assert (note or "") in answer.headers.get("x-copilot-proxy-notes", "")


def test_betas(wire: Wire) -> None:
    """Betas that Copilot accepts are passed on; other betas are dropped, and a note names them."""
    taken, refused = "interleaved-thinking-2025-05-14", "claude-code-20250219"

    answer = wire.post(PATH, messages_request(), **{"anthropic-beta": f"{refused},{taken}"})

    assert taken == wire.last_request.headers["anthropic-beta"]
    assert refused in answer.headers["x-copilot-proxy-notes"]


@pytest.mark.parametrize("stream", [False, True])
def test_thinking_is_sent_back(wire: Wire, stream: bool) -> None:
    """Signed thinking is sent back to Copilot unchanged."""
    request = messages_request(stream=stream, **{**FRESH, **THINKS})
    answer = wire.post(PATH, request)
    message = fold_message(messages_events(answer.text)) if stream else answer.json()
    content = message["content"]
    assert ["thinking", "text", "tool_use"] == [block["type"] for block in content]
    result = {"type": "tool_result", "tool_use_id": content[-1]["id"], "content": "Rain"}
    history = [
        *request["messages"],
        {"role": "assistant", "content": content},
        {"role": "user", "content": [result]},
    ]

    wire.post(PATH, {**request, "messages": history})

    assert history == wire.last_request.body["messages"]


ADDED = ("copilot_annotations", "amazon-bedrock-invocationMetrics", "context_management")


def without_additions(event: MessagesEvent) -> MessagesEvent:
    """Return an event without Copilot's additions."""
    event = {name: value for name, value in event.items() if name not in ADDED}
    if "delta" in event:
        event["delta"] = {k: v for k, v in event["delta"].items() if k not in ADDED}
    return event


@pytest.mark.parametrize("more", [{}, {**FRESH, **THINKS}])
def test_messages_pass(wire: Wire, simulator: Simulator, more: Json) -> None:
    """Whole and streamed messages are passed on unchanged, except for additions and the model name.

    Copilot's additions are removed, and the model is named as the client named it.
    """
    simulator.state.faults.on("annotations")
    request = messages_request(**more)

    whole = wire.post(PATH, request)
    expected = without_additions(json.loads(wire.written)) | {"model": request["model"]}
    assert expected == whole.json()

    streamed = wire.post(PATH, {**request, "stream": True})
    assert all(name in wire.written for name in ADDED)
    start, *others = [without_additions(event) for event in named_events(wire.written)]
    start["message"]["model"] = request["model"]
    assert [start, *others] == named_events(streamed.text)
