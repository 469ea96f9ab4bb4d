"""Long plain conversations are sent to Copilot like short ones, however they are read."""

import base64
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from benchmarks.agent_requests import agent_body
from copilot_proxy.catalogue import parse_models
from copilot_proxy.errors import RequestError
from copilot_proxy.formats import plain_turns
from copilot_proxy.formats.chat_completions.api import CHAT_COMPLETIONS
from copilot_proxy.formats.messages.api import MESSAGES
from copilot_proxy.formats.plain_turns import PlainTurns
from copilot_proxy.formats.prompt_blocks import blocks
from copilot_proxy.formats.reasoning_cache import ReasoningCache
from copilot_proxy.formats.refused_fields import without_field
from copilot_proxy.formats.responses.api import RESPONSES
from copilot_proxy.formats.token_estimate import request_tokens
from copilot_proxy.formats.translation import prepare
from copilot_proxy.simulator import catalogue

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(30)).decode()
USER: Any = {"role": "user", "content": "Go on."}
PARTS: Any = {"role": "user", "content": [{"type": "text", "text": "a"}]}
MARK: Any = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
MARKED: Any = {"type": "text", "text": "a", **MARK}
PICTURE: Any = {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"}


def chat_pair(id: str = "call_1", name: str = "read", call: Any = "{}", **more: Any) -> list[Any]:
    """Return a call and its result, in a chat request."""
    function = {"name": name, "arguments": call}
    calls = [{"id": id, "type": "function", "function": function}]
    return [
        {"role": "assistant", "content": None, "tool_calls": calls, **more},
        {"role": "tool", "tool_call_id": id, "content": "  1"},
    ]


def messages_pair(
    id: str = "call_1", name: str = "read", call: Any = None, thought: Any = None, **more: Any
) -> list[Any]:
    """Return a call and its result, in a Messages request."""
    use = {"type": "tool_use", "id": id, "name": name, "input": {} if call is None else call}
    result = {"type": "tool_result", "tool_use_id": id, "content": "  1", **more}
    return [
        {"role": "assistant", "content": [*([thought] if thought else ()), use]},
        {"role": "user", "content": [result]},
    ]


def responses_pair(
    id: str = "call_1", name: str = "read", call: Any = "{}", kind: str = "function", **more: Any
) -> list[Any]:
    """Return a call and its result, in a Responses request."""
    custom = kind == "custom"
    given = {"type": "custom_tool_call", "input": call} if custom else {"arguments": call}
    result = {"type": f"{'custom_tool' if custom else kind}_call_output", "output": "  1"}
    return [
        {"type": "function_call", "id": "fc_1", "call_id": id, "name": name, **given, **more},
        {"id": "fco_1", "call_id": id, **result},
    ]


def thought(signature: str, text: str = "hm") -> Any:
    """Return thinking of Claude."""
    return {"type": "thinking", "thinking": text, "signature": signature}


def reasoning(content: Any, **more: Any) -> Any:
    """Return reasoning as Codex sends it."""
    return {
        "type": "reasoning",
        "id": "rs_1",
        "encrypted_content": content,
        "content": None,
        **more,
    }


def image(media_type: str = "image/png") -> Any:
    """Return an image in a Messages request."""
    source = {"type": "base64", "media_type": media_type, "data": PNG}
    return {"type": "image", "source": source}


def shared(pair: Callable[..., list[Any]], invalid: Any) -> dict[str, list[Any]]:
    """Return the conversations that can be had on all APIs."""
    return {
        "plain": [USER, *pair(), *pair("call_2"), USER],
        "blank": [{"role": "user", "content": " "}, *pair(), USER],
        "interrupted": [USER, pair()[0], USER],
        "swapped": [USER, *reversed(pair()), USER],
        "twice": [USER, *pair(), *pair(), USER],
        "id": [USER, *pair("call 1"), USER],
        "long id": [USER, *pair("x" * 70), USER],
        "name": [USER, *pair(name="a b"), USER],
        "invalid": [USER, *pair(call=invalid), USER],
        "order": [
            *pair(),
            {"role": "assistant", "content": "a"},
            {"role": "assistant", "content": "b"},
        ],
        "unknown": [USER, pair()[0], {**pair()[1], "mine": 1}, USER],
    }


CHAT: dict[str, list[Any]] = {
    **shared(chat_pair, '{"a"'),
    "system": [{"role": "system", "content": "Be brief."}, USER],
    "developer": [{"role": "developer", "content": "Be brief."}, USER],
    "empty": [USER, *chat_pair(content=""), PARTS],
    "nothing": [USER, {"role": "assistant", "content": ""}, USER],
    "no object": [USER, *chat_pair(call="[1]"), USER],
    "no type": [{"role": "user", "content": [{"text": "a"}]}, USER],
    "reasoning": [USER, *chat_pair(reasoning_opaque="responses:x", reasoning_text="x"), USER],
}
CLAUDE: dict[str, list[Any]] = {
    **shared(messages_pair, [1]),
    "system": [USER, {"role": "system", "content": "a", "output_config": {"effort": "low"}}, USER],
    "first": [{"role": "system", "content": "a"}, USER],
    "marks": [PARTS, *messages_pair(**MARK), {"role": "user", "content": [MARKED]}],
    "many marks": [turn for number in range(6) for turn in messages_pair(f"c{number}", **MARK)],
    "nested mark": [USER, *messages_pair(content=[MARKED])],
    "no output": [USER, *messages_pair(content="", is_error=True)],
    "blank output": [USER, *messages_pair(content="\n"), USER],
    "image": [USER, *messages_pair(content=[image()]), {"role": "user", "content": [image()]}],
    "wrong type": [{"role": "user", "content": [image("image/jpeg")]}],
    "no image": [{"role": "user", "content": [image("text/plain")]}],
    "many images": [{"role": "user", "content": [image()] * 25}, *messages_pair()],
    "thinking": [USER, *messages_pair(thought=thought("abc="), is_error=False), USER],
    "labelled": [USER, *messages_pair(thought=thought("messages:abc")), USER],
    "foreign": [USER, *messages_pair(thought=thought("responses:abc")), USER],
    "placeholder": [USER, *messages_pair(thought=thought("abc", "Thinking...")), USER],
    "redacted": [USER, *messages_pair(thought={"type": "redacted_thinking", "data": "x"}), USER],
    "stringified": [USER, *messages_pair(content=json.dumps([image()])), USER],
    "last": [USER, {"role": "assistant", "content": "a"}],
}
CODEX: dict[str, list[Any]] = {
    **shared(responses_pair, '{"a"'),
    "empty": [USER, *responses_pair(call=""), USER],
    "no object": [USER, *responses_pair(call="[1]"), USER],
    "custom": [USER, *responses_pair(kind="custom", call="ls"), USER],
    "namespace": [USER, *responses_pair(namespace="mcp__a"), USER],
    "reasoning": [USER, reasoning("gAAA", summary=[]), *responses_pair(), USER],
    "no summary": [USER, reasoning("gAAA"), USER],
    "labelled": [USER, reasoning("responses:x", summary=[]), USER],
    "foreign": [USER, reasoning("messages:x", summary=[]), USER],
    "said": [
        USER,
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "a", "annotations": [], "logprobs": []}],
        },
        USER,
    ],
    "image": [{"role": "user", "content": [{**PICTURE, "detail": "high"}]}],
    "URL": [{"role": "user", "content": [{**PICTURE, "image_url": "https://a.b/c"}]}],
    "more tools": [
        {
            "type": "additional_tools",
            "role": "developer",
            "tools": [
                {"type": "custom", "name": "exec", "description": ""},
                {"type": "web_search"},
            ],
        },
        USER,
        *responses_pair(),
    ],
    "nameless tool": [USER, {"type": "additional_tools", "tools": [{"type": "function"}]}, USER],
    "reference": [USER, {"type": "item_reference", "id": "msg_1"}],
}
FIELDS: dict[Any, Any] = {
    CHAT_COMPLETIONS: {"messages": CHAT},
    MESSAGES: {"messages": CLAUDE},
    RESPONSES: {"input": CODEX},
}
CASES = [
    pytest.param(client, field, turns, id=f"{client.name}-{case}")
    for client, fields in FIELDS.items()
    for field, cases in fields.items()
    for case, turns in cases.items()
]
SCHEMA = {"type": "object", "properties": {}}
TOOLS: dict[Any, Any] = {
    CHAT_COMPLETIONS: {"type": "function", "function": {"name": "read", "parameters": SCHEMA}},
    MESSAGES: {"name": "read", "input_schema": SCHEMA},
    RESPONSES: {"type": "function", "name": "read", "parameters": SCHEMA},
}
MORE: dict[Any, Any] = {
    CHAT_COMPLETIONS: {},
    MESSAGES: {
        "max_tokens": 4000,
        "system": [{"type": "text", "text": "Be brief."}, {"type": "text", "text": " "}],
        "thinking": {"type": "enabled", "budget_tokens": 2000},
    },
    RESPONSES: {"instructions": "Be brief.", "client_metadata": {"a": "b"}},
}
LISTED = parse_models(catalogue.load("2026-11"))
MODELS = [
    next(one for one in LISTED if one.vendor == vendor)
    for vendor in ("OpenAI", "Anthropic", "Google")
]


def sent(client: Any, content: bytes) -> list[Any]:
    """Return what the models get, and what else depends on the conversation."""
    found: list[Any] = []
    for model in (None, *MODELS):
        try:
            request = client.parse(content)
            prepared = prepare(client, request, model, ReasoningCache())
        except RequestError as error:
            found.append((error.message, error.param))
            continue
        body = prepared.api.with_cache_key(prepared.body, None)
        found += [prepared.api.name, msgspec.json.decode(msgspec.json.encode(body))]
        found += [prepared.notes, prepared.headers, prepared.initiator, prepared.images]
        found += [client.conversation(request), client.encrypted_reasoning(request)]
        found += [blocks(prepared.api.name, prepared.body)]
    return found


@pytest.mark.parametrize("tools", [True, False], ids=["tools", "no tools"])
@pytest.mark.parametrize(("client", "field", "turns"), CASES)
def test_nothing_depends_on_how_it_is_read(
    client: Any, field: str, turns: list[Any], tools: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every model gets the same messages, with the same notes, and every error is the same."""
    offered = {"tools": [TOOLS[client]]} if tools else {}
    body = {"model": "gpt-4o", field: turns, **MORE[client], **offered}
    content = json.dumps(body).encode()
    general = sent(client, content)
    monkeypatch.setattr(plain_turns, "MIN_SIZE", 0)
    monkeypatch.setattr(plain_turns, "MIN_TURNS", 0)

    assert general == sent(client, content)


@pytest.mark.parametrize(
    ("client", "pair"),
    [(CHAT_COMPLETIONS, chat_pair), (MESSAGES, messages_pair), (RESPONSES, responses_pair)],
    ids=lambda value: getattr(value, "name", ""),
)
def test_long_conversations_stay_small_objects(client: Any, pair: Callable[..., list[Any]]) -> None:
    """What needs no change is not decoded into dictionaries, unless Copilot refuses a field."""
    turns = [USER, *[turn for number in range(2000) for turn in pair(f"call_{number}")], USER]
    (field,) = FIELDS[client]
    body = {"model": "gpt-4o", field: turns, **MORE[client], "tools": [TOOLS[client]]}
    request = client.parse(json.dumps(body).encode())
    model = next((one for one in MODELS if client.path in (one.endpoints or ())), None)
    model = None if client is CHAT_COMPLETIONS else model  # Gemini wants signed calls
    prepared = prepare(client, request, model, ReasoningCache())

    assert isinstance(prepared.body[field], PlainTurns)
    changed = without_field(prepared.body, (field, "*", "role"))
    assert "role" in str(prepared.body[field].decoded())
    assert "role" not in str(changed[field])


@pytest.mark.parametrize("client", FIELDS, ids=lambda client: client.name)
def test_values_are_counted(client: Any) -> None:
    """A long request may have commas in its texts, but not too many values."""
    (field,) = FIELDS[client]
    body = {"model": "gpt-4o", field: [{"role": "user", "content": "a"}], **MORE[client]}
    turn = {"role": "user", "content": "a," * 250_000}
    long = client.parse(json.dumps({**body, field: [turn]}).encode())
    assert isinstance(long[field], PlainTurns)

    with pytest.raises(RequestError, match="more than 200,000 values") as raised:
        client.parse(json.dumps({**body, "tools": [[]] * 250_000}).encode())
    assert 413 == raised.value.status


@pytest.mark.parametrize("text", ["def f(a: int) -> int:\n", "写一个函数\n"], ids=["code", "中文"])
@pytest.mark.parametrize("client", FIELDS, ids=lambda client: client.name)
def test_tokens_are_estimated_alike(client: Any, text: str) -> None:
    """The estimate hardly depends on how a request is read."""
    body = agent_body(client.client_path, 200_000, "Go on.")
    (field,) = FIELDS[client]
    said = [{"role": "user", "content": text * 2000}]
    content = json.dumps({**body, "model": "gpt-4o", field: [*body[field], *said]})
    request = client.parse(content.encode())
    assert isinstance(request[field], PlainTurns)
    exact = request_tokens({**request, field: request[field].decoded()})

    assert 0.95 < request_tokens(request) / exact < 1.05
