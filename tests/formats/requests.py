"""Helpers that write requests, and models that the requests are adapted to."""

import json
from typing import Any

from copilot_proxy.catalogue import Model, parse_models
from copilot_proxy.formats.chat_completions.request import parse_request
from copilot_proxy.formats.chat_completions.request_to_model import chat_for_model
from copilot_proxy.formats.request_fields import drop_fields
from copilot_proxy.formats.types import ChatRequest, Json
from tests.conftest import recorded_json

RECORDED = parse_models(recorded_json("models.json"))
PNG = "data:image/png;base64,iVBORw0KGgo="
TOOL: Json = {
    "type": "function",
    "function": {"name": "f", "parameters": {"type": "object", "properties": {}}},
}


def recorded(model_id: str) -> Model:
    """Return a model from the recorded catalogue."""
    model = RECORDED.get(model_id)
    assert model is not None
    return model


def a_model(id: str = "some-model", vendor: str = "xAI", **capabilities: Any) -> Model:
    """Return a model with only the given capabilities."""
    entry = {"id": id, "vendor": vendor, "capabilities": {"type": "chat", **capabilities}}
    (model,) = parse_models([entry])
    return model


def user(content: Any = "Hi") -> Json:
    return {"role": "user", "content": content}


def image(url: Any = PNG) -> Json:
    return {"type": "image_url", "image_url": {"url": url}}


def chat_request(*messages: Json, **fields: Any) -> ChatRequest:
    """Return a request as the server parses it."""
    request = {"model": "m", "messages": list(messages) or [user()], **fields}
    return parse_request(json.dumps(request).encode())


def for_chat(request: ChatRequest, model: Model | None) -> tuple[ChatRequest, list[str]]:
    """Return the body for Copilot's chat API, and the notes."""
    notes: list[str] = []
    request = drop_fields("chat_completions", request, notes)
    return chat_for_model(request, model, notes).body, notes
