"""Native chat completions: requests and answers pass through unchanged."""

import json
from typing import Any

import pytest

from copilot_proxy.formats.types import ChatRequest
from tests.grammars import frames
from tests.matrix_clients import PNG, SCHEMA
from tests.native.conftest import NEW, Wire

PATH = "/v1/chat/completions"


def chat_request(**more: Any) -> ChatRequest:
    """Return a long conversation with all fields of the chat API."""
    url = {"url": f"data:image/png;base64,{PNG}", "detail": "low"}
    call = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    return {
        "model": "gpt-4.1",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "Hi"}], "name": "me"},
            {"role": "assistant", "content": "Hm.", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": "See"},
            {"role": "user", "content": [{"type": "image_url", "image_url": url}], NEW: 1},
        ],
        "tools": [
            {
                "type": "function",
                "function": {"name": "look", "description": "Looks", "parameters": SCHEMA, NEW: 1},
            }
        ],
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "max_tokens": 3000,
        "temperature": 0.3,
        "top_p": 0.9,
        "seed": 7,
        "stop": ["END"],
        "user": "me",
        "presence_penalty": 0.1,
        "logit_bias": {"50256": -100},
        "response_format": {"type": "text"},
        NEW: {"a": [1]},
        **more,
    }


@pytest.mark.parametrize("stream", [False, True])
def test_chat_requests_pass(wire: Wire, stream: bool) -> None:
    """A valid request, even with unknown fields, is unchanged; streams also request usage."""
    request = chat_request(stream=stream)

    answer = wire.post(PATH, request)

    extra = {"stream_options": {"include_usage": True}} if stream else {}
    assert {**request, **extra} == wire.last_request.body
    assert "x-copilot-proxy-notes" not in answer.headers


@pytest.mark.parametrize("model", ["gpt-4.1", "claude-sonnet-4.5", "gemini-2.5-pro"])
def test_chat_answers_pass(wire: Wire, model: str) -> None:
    """An answer arrives complete, with its reasoning and cost."""
    request: ChatRequest = {
        "model": model,
        "max_tokens": 1000,
        "messages": [{"role": "user", "content": "Look in Paris and London."}],
        "tools": [{"type": "function", "function": {"name": "look", "parameters": SCHEMA}}],
    }
    answer = wire.post(PATH, request).json()
    given = json.loads(wire.written)

    (choice,) = answer["choices"]
    parts = [one["message"] for one in given["choices"]]
    for name, other in (
        ("content", "content"),
        ("reasoning_content", "reasoning_text"),
        ("reasoning_opaque", "reasoning_opaque"),
    ):
        said = "".join(part.get(other) or "" for part in parts)
        assert said == (choice["message"].get(name) or "")
    calls = [call for part in parts for call in part.get("tool_calls", ())]
    assert 2 == len(calls)
    assert [(call["id"], call["function"]) for call in calls] == [
        (call["id"], call["function"]) for call in choice["message"]["tool_calls"]
    ]
    assert given["id"] == answer["id"]
    assert given["copilot_usage"] == answer["copilot_usage"]
    for name in ("prompt_tokens", "total_tokens"):
        assert given["usage"][name] == answer["usage"][name]


def test_chat_streams_pass(wire: Wire) -> None:
    """Text deltas arrive as sent, neither joined nor delayed."""
    answer = wire.post(PATH, chat_request(stream=True, tools=None, tool_choice=None))

    def pieces(text: str) -> list[str]:
        chunks = [json.loads(f.removeprefix("data: ")) for f in frames(text) if "{" in f]
        deltas = [one["delta"] for chunk in chunks for one in chunk["choices"]]
        return [delta["content"] for delta in deltas if delta.get("content")]

    assert len(pieces(wire.written)) > 10
    assert pieces(wire.written) == pieces(answer.text)
