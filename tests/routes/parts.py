"""Requests of each client API with a given part, and what Copilot receives."""

import json
from typing import Any, Final

from copilot_proxy.formats.types import Json
from copilot_proxy.simulator import Simulator
from tests.conftest import Proxy

MODELS: Final = ("gpt-4o", "claude-opus-5", "gpt-5.4")
"""A model on each of Copilot's APIs."""
SCHEMA: Final = {
    "type": "object",
    "properties": {"x": {"type": "string"}},
    "required": ["x"],
    "additionalProperties": False,
}


def chat(*messages: Json, **fields: Any) -> Json:
    return {"messages": [{"role": "user", "content": "Hi"}, *messages], **fields}


def responses(*items: Json, **fields: Any) -> Json:
    return {"input": [{"role": "user", "content": "Hi"}, *items], **fields}


def messages(*messages: Json, **fields: Any) -> Json:
    hi = {"role": "user", "content": "Hi"}
    return {"messages": [hi, *messages], "max_tokens": 4000, **fields}


def gemini(*contents: Json, **fields: Any) -> Json:
    return {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}, *contents], **fields}


CHAT: Final = "/v1/chat/completions"
RESPONSES: Final = "/v1/responses"
MESSAGES: Final = "/v1/messages"
GEMINI: Final = "/v1beta/models/{}:generateContent"
GO_ON: Final = {"role": "user", "content": "Go on."}
CONTINUE: Final = {"role": "user", "parts": [{"text": "Go on."}]}


def post(
    proxy: Proxy, simulator: Simulator, path: str, model: str, body: Json
) -> tuple[Any, str, str]:
    """Return the response, its notes, and the body that Copilot received."""
    with proxy.client() as client:
        answer = client.post(path.format(model), json={"model": model, **body})
    sent = simulator.state.requests[-1].body if answer.is_success else None
    return answer, answer.headers.get("x-copilot-proxy-notes", ""), json.dumps(sent)


def turns(body: str) -> list[Json]:
    sent = json.loads(body)
    turns: list[Json] = sent.get("messages") or sent["input"]
    return turns
