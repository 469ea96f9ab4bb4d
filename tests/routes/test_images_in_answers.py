"""Images and PDFs in the assistant's messages, which no model accepts there."""

import base64
from typing import Any, Final

import pytest

from copilot_proxy.simulator import Simulator
from tests.conftest import Proxy
from tests.selection import every_value

IMAGE: Final = "iVBORw0KGgo="
PDF: Final = base64.b64encode(b"%PDF-1.4 of a cat").decode()
READERS: Final = ("claude-sonnet-4.5", "claude-opus-5", "gpt-5.4")
"""Models that accept PDFs."""


def _chat(data: str, kind: str, model: str) -> tuple[str, Any]:
    url = f"data:{kind};base64,{data}"
    part = (
        {"type": "image_url", "image_url": {"url": url}}
        if kind == "image/png"
        else {"type": "file", "file": {"file_data": url, "filename": "cat.pdf"}}
    )
    function = {"name": "look", "arguments": "{}"}
    answer = {
        "role": "assistant",
        "content": [{"type": "text", "text": "A cat:"}, part],
        "tool_calls": [{"id": "a", "type": "function", "function": function}],
    }
    messages = [
        {"role": "user", "content": "Draw a cat."},
        answer,
        {"role": "tool", "tool_call_id": "a", "content": "seen"},
    ]
    tools = [{"type": "function", "function": {"name": "look"}}]
    return "/v1/chat/completions", {"model": model, "messages": messages, "tools": tools}


def _responses(data: str, kind: str, model: str) -> tuple[str, Any]:
    url = f"data:{kind};base64,{data}"
    part = (
        {"type": "input_image", "image_url": url}
        if kind == "image/png"
        else {"type": "input_file", "file_data": url, "filename": "cat.pdf"}
    )
    content = [{"type": "output_text", "text": "A cat:"}, part]
    items = [
        {"role": "user", "content": "Draw a cat."},
        {"role": "assistant", "content": content},
        {"type": "function_call", "call_id": "a", "name": "look", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "a", "output": "seen"},
    ]
    tools = [{"type": "function", "name": "look", "parameters": {"type": "object"}}]
    return "/v1/responses", {"model": model, "input": items, "tools": tools}


def _messages(data: str, kind: str, model: str) -> tuple[str, Any]:
    source = {"type": "base64", "media_type": kind, "data": data}
    block = {"type": "image" if kind == "image/png" else "document", "source": source}
    call = {"type": "tool_use", "id": "a", "name": "look", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "a", "content": "seen"}
    messages = [
        {"role": "user", "content": "Draw a cat."},
        {"role": "assistant", "content": [{"type": "text", "text": "A cat:"}, block, call]},
        {"role": "user", "content": [result]},
    ]
    tools = [{"name": "look", "input_schema": {"type": "object"}}]
    return "/v1/messages", {
        "model": model,
        "messages": messages,
        "tools": tools,
        "max_tokens": 4000,
    }


def _gemini(data: str, kind: str, model: str) -> tuple[str, Any]:
    call = {"functionCall": {"name": "look", "args": {}}}
    result = {"functionResponse": {"name": "look", "response": {"output": "seen"}}}
    blob = {"inlineData": {"mimeType": kind, "data": data}}
    contents = [
        {"role": "user", "parts": [{"text": "Draw a cat."}]},
        {"role": "model", "parts": [{"text": "A cat:"}, blob, call]},
        {"role": "user", "parts": [result]},
    ]
    tools = [{"functionDeclarations": [{"name": "look"}]}]
    return f"/v1beta/models/{model}:generateContent", {"contents": contents, "tools": tools}


@every_value
@pytest.mark.parametrize("make", [_chat, _responses, _messages, _gemini])
@pytest.mark.parametrize(
    ("data", "kind", "model"),
    [
        *((IMAGE, "image/png", model) for model in (*READERS, "gpt-4o", "gemini-2.5-pro")),
        *((PDF, "application/pdf", model) for model in READERS),
    ],
)
def test_they_move_to_a_user_message(
    proxy: Proxy, simulator: Simulator, make: Any, data: str, kind: str, model: str
) -> None:
    """The model sees the text, the call and its result as they were, and then the file."""
    path, body = make(data, kind, model)

    with proxy.client() as client:
        answer = client.post(path, json=body)

    assert 200 == answer.status_code, answer.text
    notes = answer.headers["x-copilot-proxy-notes"]
    assert "moved images or files from an assistant message to a user message" in notes
    sent = simulator.state.requests[-1].body
    turns = sent.get("messages") or sent["input"]
    assert "user" == turns[-1]["role"]
    assert data in str(turns[-1])
    assert data not in str(turns[:-1])
    assert 1 == str(turns).count("A cat:")
    assert 1 == str(turns).count("seen")
