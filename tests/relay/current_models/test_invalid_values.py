"""Invalid values get a 400 that names the field, on every API of the model."""

from typing import Any

import httpx
import pytest

from copilot_proxy.formats.types import Json
from tests.matrix_clients import CLIENTS, Ask
from tests.selection import every_value

MODELS = ("gpt-6.2-sol", "claude-sonnet-4.6", "claude-opus-5.5", "gemini-4-argon", "kimi-k3")
"""Models on Responses; Chat Completions and Messages; Messages only; Chat Completions only."""
CLIENT = {client.api: client for client in CLIENTS}


def refused(http: httpx.Client, api: str, model: str, fields: Json) -> Json:
    """Return the error object of a request with `fields`."""
    client = CLIENT[api]
    body = client.body(Ask(model, client.user("Hi"))) | fields
    answer = http.post(client.path, json=body)
    assert 400 == answer.status_code, answer.text
    client.check_error(answer.json())
    error: Json = answer.json()["error"]
    assert error["hint"]
    return error


TOOL = {"name": "f", "input_schema": {"type": "object"}}
FUNCTION = {"type": "function", "name": "f"}
HI = {"role": "user", "content": "Hi"}


def adding(tools: Any) -> Json:
    """Return Responses fields with an item that adds tools."""
    item = {"type": "additional_tools", "role": "developer"}
    return {"input": [item | ({} if tools is None else {"tools": tools}), HI]}


@every_value
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"tools": [TOOL], "tool_choice": {"type": "bogus"}}, "tool_choice: Input tag"),
        ({"tools": [TOOL], "tool_choice": {"type": "tool"}}, "tool.name: Field required"),
        ({"thinking": {"type": "bogus"}}, "thinking: Input tag"),
        ({"thinking": {"type": "adaptive", "display": "bogus"}}, "display: Input should be"),
    ],
)  # fmt: skip
def test_choices_of_messages(http: httpx.Client, model: str, fields: Json, words: str) -> None:
    """Anthropic's choices are accepted even for models of other vendors."""
    assert words in refused(http, "messages", model, fields)["message"]


@pytest.mark.parametrize("model", MODELS)
def test_claude_codes_newest_display(http: httpx.Client, model: str) -> None:
    """Claude Code sends `updates` to every model, and repeats the request if it is refused."""
    beta = {"anthropic-beta": "thinking-display-updates-2026-08-18"}
    client = CLIENT["messages"]
    fields = {"thinking": {"type": "adaptive", "display": "updates"}, "max_tokens": 4000}
    body = client.body(Ask(model, client.user("Hi"))) | fields

    assert 200 == http.post(client.path, json=body, headers=beta).status_code


@every_value
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("fields", "param"),
    [
        (adding(None), "input[0].tools"),
        (adding("f"), "input[0].tools"),
        (adding([7]), "input[0].tools[0]"),
        (adding([{"name": "f"}]), "input[0].tools[0].type"),
        (adding([{"type": "function"}]), "input[0].tools[0].name"),
        (adding([FUNCTION | {"parameters": []}]), "input[0].tools[0].parameters"),
        ({"tools": [{"type": "namespace", "name": "n"}]}, "tools[0].tools"),
        ({"tools": [{"type": "namespace", "name": "n", "tools": []}]}, "tools[0].tools"),
        ({"tools": [{"type": "namespace", "name": "n", "tools": [7]}]}, "tools[0].tools[0]"),
        (adding([{"type": "namespace", "name": "n"}]), "input[0].tools[0].tools"),
    ],
)
def test_tools_of_responses(http: httpx.Client, model: str, fields: Json, param: str) -> None:
    """Tools that nobody could call are refused, whether in `tools` or in an item."""
    assert param == refused(http, "responses", model, fields)["param"]


@pytest.mark.parametrize("model", MODELS)
def test_added_tools_that_copilot_does_not_run(http: httpx.Client, model: str) -> None:
    """An item is left out if it only adds tools that Copilot does not run."""
    body = {"model": model, **adding([{"type": "web_search"}])}

    assert 200 == http.post("/v1/responses", json=body).status_code


@every_value
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("limit", [1.5, "5", True, [5]])
@pytest.mark.parametrize(
    ("api", "name"),
    [
        ("chat_completions", "max_tokens"),
        ("chat_completions", "max_completion_tokens"),
        ("responses", "max_output_tokens"),
        ("messages", "max_tokens"),
    ],
)
def test_limits(http: httpx.Client, api: str, name: str, limit: Any, model: str) -> None:
    """A limit must be an integer."""
    message = refused(http, api, model, {name: limit})["message"]

    assert f"Invalid '{name}': must be an integer" in message


@every_value
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("limit", [0, -1, None])
def test_limits_of_messages(http: httpx.Client, limit: int | None, model: str) -> None:
    """Anthropic's API requires a limit; the other APIs treat 0 and below as no limit."""
    assert "max_tokens" in refused(http, "messages", model, {"max_tokens": limit})["message"]


@pytest.mark.parametrize(
    ("api", "fields", "allowed"),
    [
        ("chat_completions", {"messages": [{"role": "x", "content": "a"}]},
         "'x' is not one of system, developer, user, assistant, tool."),
        ("chat_completions", {"messages": [{"role": "user", "content": [{"type": "x"}]}]},
         "'x' is not one of text, image_url, input_audio, file, refusal."),
        ("messages", {"messages": [{"role": "x", "content": "a"}]},
         "'x' is not one of assistant, system, user."),
        ("responses", {"input": [{"role": "x", "content": "a"}]},
         "expected one of user, assistant, system, developer."),
    ],
)  # fmt: skip
def test_roles_and_types(http: httpx.Client, api: str, fields: Json, allowed: str) -> None:
    """The error names the allowed values."""
    assert allowed in refused(http, api, MODELS[0], fields)["message"]


@every_value
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("api", "fields", "name"),
    [
        ("chat_completions", {"reasoning_effort": "bogus"}, "reasoning_effort"),
        ("responses", {"reasoning": {"effort": "bogus"}}, "reasoning.effort"),
        ("messages", {"output_config": {"effort": "bogus"}}, "output_config.effort"),
    ],
)
def test_efforts(http: httpx.Client, api: str, fields: Json, name: str, model: str) -> None:
    """Copilot's error names the field that the client sent."""
    error = refused(http, api, model, fields)

    assert f'{name} "bogus"' in error["message"]
    assert name == error.get("param", name)


@every_value
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("choice", ["bogus", {"type": "bogus"}])
@pytest.mark.parametrize("api", ["chat_completions", "responses"])
def test_choices_of_openai(http: httpx.Client, api: str, choice: Any, model: str) -> None:
    """An unknown tool choice is never dropped."""
    function = {"name": "f", "parameters": {"type": "object", "properties": {}}}
    tool = {"type": "function", **function}
    if api == "chat_completions":
        tool = {"type": "function", "function": function}

    error = refused(http, api, model, {"tools": [tool], "tool_choice": choice})
    assert "tool_choice" in f"{error['param']} {error['message']}"
