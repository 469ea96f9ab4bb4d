"""Arguments of earlier calls that a model did not write as an object, on the APIs where arguments
are JSON values."""

import json
from typing import Any, Final

import pytest

from copilot_proxy.formats.client_api import ClientApi
from copilot_proxy.formats.gemini.api import GEMINI
from copilot_proxy.formats.messages.api import MESSAGES
from copilot_proxy.formats.ollama.api import OLLAMA
from copilot_proxy.formats.reasoning_cache import ReasoningCache
from copilot_proxy.formats.translation import prepare
from copilot_proxy.formats.types import Json
from tests.formats.routes import model_on

MODELS: Final = (
    model_on("chat_completions", "claude-sonnet-4.5", vendor="Anthropic"),
    model_on("messages", "claude-opus-4.7", vendor="Anthropic"),
)


def of_messages(arguments: Any) -> Json:
    use = {"type": "tool_use", "id": "a", "name": "f", "input": arguments}
    result = {"type": "tool_result", "tool_use_id": "a", "content": "r"}
    turns = [("user", "Hi"), ("assistant", [use]), ("user", [result])]
    return {"max_tokens": 9, "messages": [{"role": role, "content": it} for role, it in turns]}


def of_gemini(arguments: Any) -> Json:
    call = {"functionCall": {"name": "f", "args": arguments}}
    result = {"functionResponse": {"name": "f", "response": {"output": "r"}}}
    turns = [("user", {"text": "Hi"}), ("model", call), ("user", result)]
    return {"contents": [{"role": role, "parts": [part]} for role, part in turns]}


def of_ollama(arguments: Any) -> Json:
    calls = [{"function": {"name": "f", "arguments": arguments}}]
    user, result = {"role": "user", "content": "Hi"}, {"role": "tool", "content": "r"}
    return {"messages": [user, {"role": "assistant", "tool_calls": calls}, result]}


def sent_arguments(body: Json) -> Any:
    """Return the arguments of the call in a body for Chat Completions or Messages."""
    message = body["messages"][1]
    if "tool_calls" in message:
        return json.loads(message["tool_calls"][0]["function"]["arguments"])
    return message["content"][0]["input"]


@pytest.mark.parametrize(
    ("client", "body_with"),
    [(MESSAGES, of_messages), (GEMINI, of_gemini), (OLLAMA, of_ollama)],
    ids=["messages", "gemini", "ollama"],
)
@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.id)
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"a": 1}, {"a": 1}),
        (None, {}),
        ("", {}),
        ('{"a": 1}', {"a": 1}),
        ('{"a": 1', {"INVALID_JSON": '{"a": 1'}),
        ([], {"INVALID_JSON": "[]"}),
        (0, {"INVALID_JSON": "0"}),
        (False, {"INVALID_JSON": "false"}),
    ],
)
def test_the_conversation_goes_on(
    client: ClientApi, body_with: Any, model: Any, given: Any, expected: Json
) -> None:
    """The model gets an object that contains what it wrote, instead of refusing the request."""
    request = client.parse(json.dumps({"model": model.id, **body_with(given)}).encode())

    body = prepare(client, request, model, ReasoningCache()).body

    assert expected == sent_arguments(body)
