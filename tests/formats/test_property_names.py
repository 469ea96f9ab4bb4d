"""Tool parameters whose names Claude refuses are renamed, and restored in calls."""

import json
from collections.abc import Callable
from typing import Any, Final

import httpx
import pytest

from copilot_proxy.formats.property_names import KeyRenamer
from copilot_proxy.formats.types import Json
from copilot_proxy.simulator import Simulator
from tests.conftest import Proxy
from tests.formats.routes import claude, model_on, sent

LONG: Final = "settings__approved__or__denied__countries__or__regions__approved__list"
SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "$filter": {"type": "string"},
        "filter[id]": {"type": "object", "properties": {"$in": {"type": "string"}}},
        LONG: {"type": "string"},
        "città": {"type": "string"},
        "filter": {"type": "string"},
    },
    "required": ["$filter", "filter[id]", LONG, "città", "filter"],
}
SENT: Final = [
    "_filter_0c097d40",
    "filter_id",
    "settings__approved__or__denied__countries__or__regions__109859d3",
    "citt",
    "filter",
]
WEATHER: Final = {
    "type": "object",
    "properties": {"$city": {"type": "string"}},
    "required": ["$city"],
}
MODELS: Final = ("claude-sonnet-4.5", "claude-opus-5")
"""A model on Chat Completions, which Messages clients call on Messages; one only on Messages."""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"$a": 1, "b": "$a"}', '{"a": 1, "b": "$a"}'),
        ('{"x": {"$a": ["$a", {"$a": 2}]}, "$a": 1}', '{"x": {"$a": ["$a", {"$a": 2}]}, "a": 1}'),
        ('{"b": "\\\\", "$a": 1}', '{"b": "\\\\", "a": 1}'),
        (
            '{ "\\u0024a" :"{\\"$a\\": [}", "b": [1, "$a"] }',
            '{ "a" :"{\\"$a\\": [}", "b": [1, "$a"] }',
        ),
        ('["$a", {"$a": 1}]', '["$a", {"$a": 1}]'),
        ('"$a"', '"$a"'),
        ('{"$a": 1, "$', '{"a": 1, "$'),
        ("", ""),
    ],
)
def test_keys(text: str, expected: str) -> None:
    """Only names at the top level are renamed, however the text is split."""
    for size in (1, 2, 3, 100):
        renamer = KeyRenamer({"$a": "a"})
        pieces = [renamer.feed(text[i : i + size]) for i in range(0, len(text), size)]

        assert expected == "".join(pieces) + renamer.close()


@pytest.mark.parametrize("client", ["chat_completions", "responses", "messages"])
def test_schemas(client: str) -> None:
    """The new names are short, distinct, and the same in later requests."""
    request = sent(client, claude("claude-opus-5"), tool="f", schema=SCHEMA)

    schema = request.body["tools"][0]["input_schema"]
    assert SENT == list(schema["properties"]) == schema["required"]
    assert SCHEMA["properties"]["filter[id]"] == schema["properties"]["filter_id"]
    (note,) = [note for note in request.notes if "renamed" in note]
    assert f"filter[id] of f to filter_id, {LONG} of f to {SENT[2]}, and 1 more" in note


@pytest.mark.parametrize("client", ["chat_completions", "responses", "messages"])
def test_other_models(client: str) -> None:
    """For other models, names are unchanged, since they accept any name."""
    request = sent(client, model_on("responses", "gpt-6-sol"), tool="f", schema=SCHEMA)

    assert (
        SCHEMA["properties"].keys() == request.body["tools"][0]["parameters"]["properties"].keys()
    )


@pytest.mark.parametrize("client", ["chat_completions", "responses", "messages"])
def test_references_to_renamed_properties(client: str) -> None:
    """References follow the renaming, and text in values is unchanged."""
    properties = {
        "$filter": {"type": "object", "properties": {"id": {"const": {"$ref": "#/properties/$x"}}}},
        "a/b~c d": {"type": "string"},
        "$ref": {"$ref": "#/properties/$filter/properties/id"},
        "more": {"type": "array", "items": {"anyOf": [{"$ref": "#/properties/a~1b~0c%20d"}]}},
        "plain": {"$ref": "#/properties/more"},
    }
    schema = {"type": "object", "properties": properties}
    request = sent(client, claude("claude-opus-5"), tool="f", schema=schema)

    found = request.body["tools"][0]["input_schema"]["properties"]
    first, second, third, *_ = found
    assert properties["$filter"] == found[first]
    assert {"$ref": f"#/properties/{first}/properties/id"} == found[third]
    assert [{"$ref": f"#/properties/{second}"}] == found["more"]["items"]["anyOf"]
    assert {"$ref": "#/properties/more"} == found["plain"]


CITY: Final = "What is the weather in Paris?"


def ask(client: httpx.Client, api: str, model: str, stream: bool) -> tuple[str, Any]:
    """Return the tool name and arguments of the model's call."""
    tool: Json = {"name": "get_weather", "parameters": WEATHER}
    turns = [{"role": "user", "content": CITY}]
    body: Json = {"model": model, "stream": stream, "messages": turns}
    if api == "chat/completions":
        body["tools"] = [{"type": "function", "function": tool}]
    elif api == "responses":
        body = {"model": model, "stream": stream, "input": CITY}
        body["tools"] = [{"type": "function", **tool}]
    else:
        body |= {"max_tokens": 900, "tools": [{"name": tool["name"], "input_schema": WEATHER}]}
    answer = client.post(f"/v1/{api}", json=body)
    assert 200 == answer.status_code, answer.text
    return READERS[api, stream](answer)


def events(answer: httpx.Response) -> list[Any]:
    lines = [line[6:] for line in answer.text.splitlines() if line.startswith("data: {")]
    return [json.loads(line) for line in lines]


def chat_stream(answer: httpx.Response) -> tuple[str, Any]:
    deltas = [one["choices"][0]["delta"] for one in events(answer) if one["choices"]]
    parts = [part["function"] for delta in deltas for part in delta.get("tool_calls") or ()]
    return parts[0]["name"], json.loads("".join(part.get("arguments", "") for part in parts))


def chat(answer: httpx.Response) -> tuple[str, Any]:
    function = answer.json()["choices"][0]["message"]["tool_calls"][0]["function"]
    return function["name"], json.loads(function["arguments"])


def responses(answer: httpx.Response) -> tuple[str, Any]:
    (call,) = [one for one in answer.json()["output"] if one["type"] == "function_call"]
    return call["name"], json.loads(call["arguments"])


def responses_stream(answer: httpx.Response) -> tuple[str, Any]:
    found = events(answer)
    deltas = [one["delta"] for one in found if one["type"].endswith("arguments.delta")]
    (done,) = [one for one in found if one["type"].endswith("arguments.done")]
    assert done["arguments"] == "".join(deltas)
    return "get_weather", json.loads(done["arguments"])


def messages(answer: httpx.Response) -> tuple[str, Any]:
    (call,) = [one for one in answer.json()["content"] if one["type"] == "tool_use"]
    return call["name"], call["input"]


def messages_stream(answer: httpx.Response) -> tuple[str, Any]:
    found = events(answer)
    blocks = [one["content_block"] for one in found if one["type"] == "content_block_start"]
    (name,) = [block["name"] for block in blocks if block["type"] == "tool_use"]
    deltas = [one["delta"] for one in found if one["type"] == "content_block_delta"]
    return name, json.loads("".join(one.get("partial_json", "") for one in deltas))


READERS: Final[dict[tuple[str, bool], Callable[[httpx.Response], tuple[str, Any]]]] = {
    ("chat/completions", False): chat,
    ("chat/completions", True): chat_stream,
    ("responses", False): responses,
    ("responses", True): responses_stream,
    ("messages", False): messages,
    ("messages", True): messages_stream,
}


def test_calls(proxy: Proxy, simulator: Simulator) -> None:
    """Claude gets names that it accepts, and clients get their own back, streamed or not."""
    with proxy.client() as client:
        for api, stream in READERS:
            for model in MODELS:
                assert ("get_weather", {"$city": "Paris"}) == ask(client, api, model, stream)

    bodies = [json.dumps(one.body) for one in simulator.state.requests if one.method == "POST"]
    assert not any("$city" in body for body in bodies)


def test_arguments_that_are_cut_off(proxy: Proxy) -> None:
    """No character is lost if the output limit cuts the arguments off within a key."""
    tool: Json = {"name": "get_weather", "parameters": WEATHER}
    body: Json = {
        "model": "claude-sonnet-4.5",
        "messages": [{"role": "user", "content": CITY}],
        "max_tokens": 9,
    }
    chat_body = {**body, "tools": [{"type": "function", "function": tool}]}
    tool = {"name": "get_weather", "input_schema": WEATHER}
    with proxy.client() as client:
        whole = client.post("/v1/chat/completions", json=chat_body).json()["choices"][0]
        chunks = events(client.post("/v1/chat/completions", json={**chat_body, "stream": True}))
        native = events(client.post("/v1/messages", json={**body, "tools": [tool], "stream": True}))

    cut = '{"cit'
    assert "length" == whole["finish_reason"]
    assert cut == whole["message"]["tool_calls"][0]["function"]["arguments"]
    *others, last = chunks
    assert "length" == last["choices"][0]["finish_reason"]
    parts = [one for chunk in others for one in chunk["choices"][0]["delta"].get("tool_calls", ())]
    assert cut == "".join(part["function"].get("arguments", "") for part in parts)
    deltas = [one["delta"] for one in native if one["type"] == "content_block_delta"]
    assert cut == "".join(one.get("partial_json", "") for one in deltas)
    assert [None, "max_tokens"] == [
        one.get("delta", one.get("message"))["stop_reason"]
        for one in native
        if one["type"] in ("message_start", "message_delta")
    ]
