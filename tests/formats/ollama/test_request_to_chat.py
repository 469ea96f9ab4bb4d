"""Ollama requests translated to chat: options, formats, thinking, and calls without ids."""

import json
from typing import Any

import pytest

from copilot_proxy.errors import RequestError
from copilot_proxy.formats.ollama.api import OLLAMA
from copilot_proxy.formats.types import Json
from copilot_proxy.headers import Initiator
from tests.matrix_clients import PNG

USER = {"role": "user", "content": "Hi"}


def parsed(**body: Any) -> Json:
    return OLLAMA.parse(json.dumps({"model": "m", "messages": [USER], **body}).encode())


def to_chat(**body: Any) -> tuple[Json, list[str]]:
    """Return the chat request and the notes."""
    notes: list[str] = []
    return OLLAMA.to_chat(parsed(**body), notes), notes


def refusal(**body: Any) -> RequestError:
    with pytest.raises(RequestError) as caught:
        to_chat(**body)
    return caught.value


def called(name: str, **arguments: str) -> Json:
    return {"function": {"name": name, "arguments": arguments}}


def test_defaults() -> None:
    """A plain request is streamed by default, and nothing is added."""
    expected = {"model": "m", "messages": [USER], "stream": True}
    assert (expected, []) == to_chat()
    assert (expected, []) == to_chat(stream=None, options=None, tools=[], format="", think=None)
    assert (expected | {"stream": False}, []) == to_chat(stream=False, keep_alive=-1)


def test_options() -> None:
    """Options that the chat API supports are passed on; runner settings are dropped silently."""
    options = {"temperature": 0, "top_p": 0.5, "seed": 7, "stop": ["x"], "num_predict": 9}
    chat, notes = to_chat(options={**options, "num_ctx": 2048, "num_gpu": 1, "mirostat": 1})

    assert {"temperature": 0, "top_p": 0.5, "seed": 7, "stop": ["x"], "max_tokens": 9}.items() <= (
        chat.items()
    )
    assert ["dropped options.mirostat: Copilot has no equivalent"] == notes


@pytest.mark.parametrize("limit", [-1, -2, 0])
def test_no_limit(limit: int) -> None:
    """Ollama's values for "no limit" set no limit."""
    assert "max_tokens" not in to_chat(options={"num_predict": limit})[0]


@pytest.mark.parametrize(
    ("think", "effort"),
    [
        (None, None),
        (True, "medium"),
        ("true", "medium"),
        ("high", "high"),
        ("max", "max"),
        (False, "none"),
        ("false", "none"),
    ],
)
def test_thinking(think: object, effort: str | None) -> None:
    """Ollama's thinking setting becomes an effort."""
    assert effort == to_chat(think=think)[0].get("reasoning_effort")
    assert (effort not in (None, "none")) == OLLAMA.wants_reasoning(parsed(think=think))


INNER = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
OPTIONAL = {"type": "object", "properties": {"a": {"type": "string"}, "b": {}}, "required": ["a"]}


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        (INNER, True),
        ({**INNER, "properties": {"a": {"type": "array", "items": INNER}}}, True),
        ({**INNER, "properties": {"a": {"anyOf": [{"$ref": "#/$defs/I"}]}}, "$defs": {"I": INNER}},
         True),
        (OPTIONAL, False),
        ({**INNER, "properties": {"a": {"type": "array", "items": OPTIONAL}}}, False),
        ({**INNER, "properties": {"a": {"type": "string", "pattern": "x"}}}, False),
        ({**INNER, "additionalProperties": True}, False),
        ({"type": "array", "items": INNER}, False),
        ({"type": "object"}, False),
        ({"properties": 1, "type": "object"}, False),
        ({"anyOf": 1, "type": "object", **INNER}, False),
        ({"type": "object", "required": "a", "properties": {"a": {}}}, False),
    ],
)  # fmt: skip
def test_schemas(schema: Json, strict: bool) -> None:
    """A schema is strict if OpenAI's rules allow it, and is never loosened."""
    format = to_chat(format=schema)[0]["response_format"]["json_schema"]
    assert strict == format["strict"]
    if not strict:
        assert schema == format["schema"]
    else:
        assert format["schema"]["additionalProperties"] is False


def test_json() -> None:
    """If a model requires the word JSON in the conversation, the word is added once."""
    chat, notes = to_chat(format="json")
    assert {"type": "json_object"} == chat["response_format"]
    assert "JSON" in chat["messages"][0]["content"]
    assert notes

    chat, notes = to_chat(format="json", messages=[{"role": "user", "content": "As Json"}])
    assert ([{"role": "user", "content": "As Json"}], []) == (chat["messages"], notes)


def test_calls_without_ids() -> None:
    """Calls get ids by position; each result belongs to the first unanswered call of its tool."""
    messages = [
        {"role": "assistant", "tool_calls": [called("a"), called("b"), called("a", x="2")]},
        {"role": "tool", "tool_name": "b", "content": "of b"},
        {"role": "tool", "tool_name": "a", "content": "of a"},
        {"role": "tool", "content": "of the last"},
        {"role": "tool", "tool_name": "a", "content": "of nothing"},
    ]
    chat = to_chat(messages=messages)[0]["messages"]

    ids = [call["id"] for call in chat[0]["tool_calls"]]
    assert 3 == len(set(ids))
    assert [ids[1], ids[0], ids[2]] == [result["tool_call_id"] for result in chat[1:4]]
    assert chat[4]["tool_call_id"] not in ids
    assert '{"x":"2"}' == chat[0]["tool_calls"][2]["function"]["arguments"]
    assert chat == to_chat(messages=messages)[0]["messages"]


def test_calls_with_ids() -> None:
    """Ids are kept, and determine which call a result belongs to."""
    calls = [{"id": "one", **called("a")}, {"id": "two", **called("a")}]
    messages = [
        {"role": "assistant", "content": "", "tool_calls": calls},
        {"role": "tool", "tool_call_id": "two", "tool_name": "a", "content": "2"},
        {"role": "tool", "tool_call_id": "one", "tool_name": "a", "content": "1"},
    ]
    chat = to_chat(messages=messages)[0]["messages"]
    assert ["two", "one"] == [result["tool_call_id"] for result in chat[1:]]


@pytest.mark.parametrize(
    ("last", "initiator"),
    [
        (USER, "user"),
        ({"role": "User", "content": "Hi"}, "user"),
        ({"role": "tool", "content": "x"}, "agent"),
        ({"role": "assistant", "content": "x"}, "agent"),
    ],
)
def test_initiator(last: Json, initiator: Initiator) -> None:
    """The initiator is the user only if the last message is the user's."""
    assert initiator == OLLAMA.initiator(parsed(messages=[USER, last]))
    assert "user" == OLLAMA.initiator(OLLAMA.parse_generate(b'{"model": "m", "prompt": "Hi"}'))


@pytest.mark.parametrize("image", [PNG, f"data:image/png;base64,{PNG}"])
def test_images(image: str) -> None:
    """The media type of an image is detected from its first bytes."""
    message = {"role": "user", "content": "Hi", "images": [image]}
    text, picture = to_chat(messages=[message])[0]["messages"][0]["content"]
    assert {"type": "text", "text": "Hi"} == text
    assert f"data:image/png;base64,{PNG}" == picture["image_url"]["url"]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"messages": [{**USER, "images": ["photo.png"]}]}, "messages[0].images[0]"),
        ({"messages": [{**USER, "images": ["aGVsbG8gd29ybGQ="]}]}, "messages[0].images[0]"),
        ({"messages": [{"role": "system", "content": "", "images": [PNG]}]}, "messages[0].images"),
        ({"messages": [{"role": "narrator", "content": "x"}]}, "messages[0].role"),
        ({"messages": "Hi"}, "messages"),
        ({"format": "xml"}, "format"),
        ({"think": "hard"}, "think"),
        ({"options": {"temperature": "hot"}}, "options.temperature"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tools": [{"function": {"name": f"f{n}"}} for n in range(129)]}, "tools"),
        ({"logprobs": True}, "logprobs"),
        ({"model": ""}, "model"),
    ],
)
def test_invalid_requests(body: Json, param: str) -> None:
    """Invalid requests are refused with the name of the field and a hint."""
    error = refusal(**body)
    assert (400, param) == (error.status, error.param)
    assert error.hint


def test_tools_of_generate() -> None:
    """/api/generate has no tools, so a request with tools is refused."""
    with pytest.raises(RequestError, match="does not support tools"):
        OLLAMA.parse_generate(b'{"model": "m", "prompt": "x", "tools": [{}]}')


def test_alias_parameters() -> None:
    """The parameters of an alias override the options of the request."""
    parameters = {"max_tokens": 5, "temperature": 1, "reasoning_effort": "none"}
    request = parsed(options={"temperature": 0, "seed": 1}, think="high")
    changed = OLLAMA.with_parameters(request, parameters)
    assert {"temperature": 1, "seed": 1, "num_predict": 5} == changed["options"]
    assert changed["think"] is False
