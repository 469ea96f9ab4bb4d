"""Images in tool results that an agent has turned into JSON text."""

import json
from typing import Any

import httpx
import pytest

from copilot_proxy.formats.stringified_results import unpacked
from copilot_proxy.formats.types import Json
from copilot_proxy.simulator import Simulator
from tests.pictures import PNG
from tests.selection import every_value

MODELS = ("gpt-6.2-sol", "claude-sonnet-4.6", "claude-opus-5.5", "gemini-4-argon")
URL = f"data:image/png;base64,{PNG}"
IMAGES = {
    "Responses": {"type": "input_image", "image_url": URL},
    "Chat Completions": {"type": "image_url", "image_url": {"url": URL}},
    "Messages": {
        "type": "image",
        "source": {"type": "base64", "media_type": "image/png", "data": PNG},
    },
    "MCP": {"type": "image", "mimeType": "image/png", "data": PNG},
}


def chat(result: str) -> Json:
    function = {"name": "view", "arguments": "{}"}
    return {
        "messages": [
            {"role": "user", "content": "Hi"},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "a", "type": "function", "function": function}],
            },
            {"role": "tool", "tool_call_id": "a", "content": result},
        ]
    }


def responses(result: str) -> Json:
    return {
        "input": [
            {"role": "user", "content": "Hi"},
            {"type": "function_call", "call_id": "a", "name": "view", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "a", "output": result},
        ]
    }


def messages(result: str) -> Json:
    return {
        "max_tokens": 99,
        "messages": [
            {"role": "user", "content": "Hi"},
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "id": "a", "name": "view", "input": {}}],
            },
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "a", "content": result}],
            },
        ],
    }


@every_value
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("notation", IMAGES)
@pytest.mark.parametrize(
    ("path", "make"),
    [
        ("/v1/chat/completions", chat),
        ("/v1/responses", responses),
        ("/v1/messages", messages),
    ],
)
def test_the_model_sees_the_image(
    http: httpx.Client, simulator: Simulator, path: str, make: Any, notation: str, model: str
) -> None:
    """Copilot receives the vision header, and an image and text instead of text with base64."""
    result = json.dumps([{"type": "text", "text": "seen"}, IMAGES[notation]])

    answer = http.post(path, json={"model": model, **make(result)})

    assert 200 == answer.status_code, answer.text
    sent = simulator.state.requests[-1]
    text = json.dumps(sent.body)
    assert PNG in text
    assert '\\"' not in text
    assert sent.vision


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[",
        "[]",
        "[1, 2]",
        '["image"]',
        json.dumps([{"type": "text", "text": 'an "image"'}]),
        json.dumps([IMAGES["MCP"], {"type": "audio", "data": "x"}]),
        json.dumps([{"type": "input_image", "image_url": "https://example.com/x.png"}]),
        json.dumps({"type": "image", "data": PNG, "mimeType": "image/png"}),
        json.dumps([IMAGES["MCP"]])[:-1],
    ],
)
def test_other_texts_are_left_alone(text: str) -> None:
    """JSON other than a list of texts and image data is passed on unchanged."""
    assert unpacked("responses", text) is None
