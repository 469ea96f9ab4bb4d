"""Requests partly written for another API are rewritten, or refused with the right name."""

from typing import Any

import httpx
import pytest

from copilot_proxy.formats.types import Json
from copilot_proxy.simulator import Simulator
from tests.matrix_clients import NATIVE as CLIENTS
from tests.matrix_clients import SCHEMA, TOOL, Ask, Client
from tests.pictures import PNG
from tests.selection import every_value

MODELS = ("gpt-6.2-sol", "claude-sonnet-4.6", "claude-opus-5.5", "gemini-4-argon")
"""Models on Responses; Chat Completions and Messages; Messages only; Chat Completions only."""
CLIENT = {client.api: client for client in CLIENTS}
CHAT, RESPONSES, MESSAGES = "chat_completions", "responses", "messages"
NAMES = {
    CHAT: "Chat Completions (/v1/chat/completions)",
    RESPONSES: "the Responses API (/v1/responses)",
    MESSAGES: "the Messages API (/v1/messages)",
}
FUNCTION = {"name": TOOL, "parameters": SCHEMA}
TOOLS = {
    "flat": {"type": "function", **FUNCTION},
    "nested": {"type": "function", "function": FUNCTION},
    "nested without a type": {"function": FUNCTION},
    "Anthropic's": {"name": TOOL, "input_schema": SCHEMA},
}
EACH = pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.api)


def body_of(client: Client, model: str, text: str = "Hi") -> Json:
    return client.body(Ask(model, client.user(text), limit=500))


def refused(http: httpx.Client, client: Client, body: Json) -> Json:
    """Return the error object of a request that is refused."""
    answer = http.post(client.path, json=body)
    assert 400 == answer.status_code, answer.text
    client.check_error(answer.json())
    error: Json = answer.json()["error"]
    return error


@every_value
@EACH
@pytest.mark.parametrize("notation", TOOLS)
@pytest.mark.parametrize("model", MODELS)
def test_tools_in_any_notation(
    http: httpx.Client, client: Client, model: str, notation: str
) -> None:
    """The model receives the tool, and the call has the format of the client's API."""
    body = body_of(client, model, f'Call {TOOL} for "Paris"') | {"tools": [TOOLS[notation]]}

    answer = http.post(client.path, json=body)

    assert 200 == answer.status_code, answer.text
    (call,) = client.read(answer.json()).calls
    assert (TOOL, ["city"]) == (call.name, list(call.arguments))


def test_tools_in_two_notations_at_once(http: httpx.Client, simulator: Simulator) -> None:
    """Cursor sends flat and nested functions in one list."""
    other = {"type": "function", "function": {**FUNCTION, "name": "other"}}
    body = body_of(CLIENT[CHAT], MODELS[0]) | {"tools": [TOOLS["flat"], other]}

    assert 200 == http.post("/v1/chat/completions", json=body).status_code
    assert [TOOL, "other"] == [tool["name"] for tool in simulator.state.requests[-1].body["tools"]]


@pytest.mark.parametrize(
    ("api", "choice"),
    [
        (CHAT, {"type": "function", "name": TOOL}),
        (RESPONSES, {"type": "function", "function": {"name": TOOL}}),
    ],
)
def test_a_choice_in_the_other_notation(http: httpx.Client, api: str, choice: Json) -> None:
    """A function can be forced in either notation."""
    client = CLIENT[api]
    body = client.body(Ask(MODELS[0], client.user("Hi"), tools=True)) | {"tool_choice": choice}

    answer = http.post(client.path, json=body)

    assert [TOOL] == [call.name for call in client.read(answer.json()).calls]


@every_value
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("api", "field", "value", "other", "own"),
    [
        (CHAT, "instructions", "Be brief.", RESPONSES, "messages"),
        (CHAT, "system", "Be brief.", MESSAGES, "messages"),
        (CHAT, "text", {"format": {"type": "json_object"}}, RESPONSES, "response_format"),
        (CHAT, "max_output_tokens", 50, RESPONSES, "max_completion_tokens"),
        (CHAT, "stop_sequences", ["x"], MESSAGES, "stop"),
        (RESPONSES, "max_tokens", 50, CHAT, "max_output_tokens"),
        (RESPONSES, "response_format", {"type": "json_object"}, CHAT, "text"),
        (RESPONSES, "reasoning_effort", "high", CHAT, "reasoning"),
        (RESPONSES, "system", "Be brief.", MESSAGES, "instructions"),
        (MESSAGES, "instructions", "Be brief.", RESPONSES, "system"),
        (MESSAGES, "response_format", {"type": "json_object"}, CHAT, "output_config"),
        (MESSAGES, "reasoning_effort", "high", CHAT, "output_config"),
        (MESSAGES, "stop", ["x"], CHAT, "stop_sequences"),
    ],
)
def test_fields_of_other_apis(
    http: httpx.Client, api: str, field: str, value: Any, other: str, own: str, model: str
) -> None:
    """The error names the API to which the field belongs, and the field to send instead."""
    client = CLIENT[api]
    body = client.body(Ask(model, client.user("Hi"))) | {field: value}

    error = refused(http, client, body)

    assert f"`{field}` is a field of {NAMES[other]}" in error["message"]
    assert f"`{own}`" in error["hint"]


HI = {"role": "user", "content": "Hi"}
BODIES: dict[str, Json] = {
    CHAT: {"model": MODELS[0], "messages": [HI]},
    RESPONSES: {"model": MODELS[0], "input": [HI]},
    "completions": {"model": MODELS[0], "prompt": "Hi"},
    "gemini": {"contents": [{"parts": [{"text": "Hi"}]}]},
}
"""For each API, a body whose conversation has a name that no other API uses."""
PATHS = {
    CHAT: "/v1/chat/completions",
    RESPONSES: "/v1/responses",
    MESSAGES: "/v1/messages",
    "completions": "/v1/completions",
    "gemini": f"/v1beta/models/{MODELS[0]}:generateContent",
}
OWN = {(api, api) for api in BODIES} | {
    (MESSAGES, CHAT),  # the same name
    (RESPONSES, "completions"),  # `prompt` also is a field of Responses, with its own error
}


@pytest.mark.parametrize(
    ("called", "api"),
    [(called, api) for called in PATHS for api in BODIES if (called, api) not in OWN],
)
def test_a_body_of_another_api(http: httpx.Client, called: str, api: str) -> None:
    """The error tells a client that is set up for another API which path to call."""
    answer = http.post(PATHS[called], json=BODIES[api])

    assert 400 == answer.status_code, answer.text
    message = answer.json()["error"]["message"]
    name = next(name for name in BODIES[api] if name != "model")
    assert f"`{name}` is a field of" in message
    assert PATHS[api].replace(MODELS[0], "{model}") in message


@pytest.mark.parametrize("field", ["system", "instructions"])
@pytest.mark.parametrize("called", ["completions", "gemini"])
def test_instructions_under_the_name_of_another_api(
    http: httpx.Client, called: str, field: str
) -> None:
    """They are not ignored: the error says where to put them."""
    answer = http.post(PATHS[called], json=BODIES[called] | {field: "Be brief."})

    assert 400 == answer.status_code, answer.text
    own = {"completions": "`prompt`", "gemini": "`systemInstruction`"}[called]
    message = answer.json()["error"]["message"]
    assert f"`{field}` is a field of" in message
    assert f"Send {own}" in message


@pytest.mark.parametrize(
    ("api", "field", "more"),
    [
        (CHAT, "max_output_tokens", {"max_completion_tokens": 50}),
        (CHAT, "input", {}),
        (RESPONSES, "max_tokens", {"max_output_tokens": 50}),
        (MESSAGES, "max_completion_tokens", {}),
    ],
)
def test_fields_for_several_apis_at_once(
    http: httpx.Client, api: str, field: str, more: Json
) -> None:
    """A field of another API is harmless if the request also has the right field."""
    body = body_of(CLIENT[api], MODELS[0]) | more | {field: 50}

    assert 200 == http.post(CLIENT[api].path, json=body).status_code


@pytest.mark.parametrize("model", MODELS)
def test_an_effort_in_openrouters_notation(
    http: httpx.Client, simulator: Simulator, model: str
) -> None:
    """The effort in `reasoning.effort`, which many agents send to every chat API, is applied."""
    body = body_of(CLIENT[CHAT], model) | {"reasoning": {"effort": "high"}}

    answer = http.post("/v1/chat/completions", json=body)

    assert 200 == answer.status_code, answer.text
    sent = simulator.state.requests[-1].body
    holders = (sent, sent.get("reasoning") or {}, sent.get("output_config") or {})
    assert "high" in [holder.get("reasoning_effort", holder.get("effort")) for holder in holders]


SOURCE = {"type": "base64", "media_type": "image/png", "data": PNG}
URL = f"data:image/png;base64,{PNG}"


@every_value
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("api", "part", "other", "own"),
    [
        (CHAT, {"type": "image", "source": SOURCE}, MESSAGES, "image_url"),
        (CHAT, {"type": "input_image", "image_url": URL}, RESPONSES, "image_url"),
        (CHAT, {"type": "input_text", "text": "x"}, RESPONSES, "text"),
        (CHAT, {"type": "tool_result", "tool_use_id": "a"}, MESSAGES, "tool_call_id"),
        (RESPONSES, {"type": "image_url", "image_url": {"url": URL}}, CHAT, "input_image"),
        (RESPONSES, {"type": "image", "source": SOURCE}, MESSAGES, "input_image"),
        (MESSAGES, {"type": "image_url", "image_url": {"url": URL}}, CHAT, "image"),
        (MESSAGES, {"type": "input_image", "image_url": URL}, RESPONSES, "image"),
    ],
)
def test_parts_of_other_apis(
    http: httpx.Client, api: str, part: Json, other: str, own: str, model: str
) -> None:
    """The error names the equivalent part, and nothing is dropped."""
    client = CLIENT[api]
    (turn,) = client.user("Look")
    text = {"type": "input_text" if api == RESPONSES else "text", "text": "Look"}
    body = client.body(Ask(model, [turn | {"content": [text, part]}]))

    error = refused(http, client, body)

    assert f"`{part['type']}` is a content type of {NAMES[other]}" in error["message"]
    assert f"`{own}`" in error["hint"]


@pytest.mark.parametrize("model", MODELS)
def test_texts_under_the_name_of_chat_completions(http: httpx.Client, model: str) -> None:
    """On Responses, text parts may have the type that Chat Completions uses, in every role."""
    turns = [
        {"role": role, "content": [{"type": "text", "text": text}]}
        for role, text in (("user", "Hi"), ("assistant", "Hello"), ("user", "Again"))
    ]

    answer = http.post("/v1/responses", json={"model": model, "input": turns})

    assert 200 == answer.status_code, answer.text
    assert CLIENT[RESPONSES].read(answer.json()).text.endswith("You said: Again")
