"""Long plain conversations, which have their own decoder, reach Copilot like short ones."""

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
from tests.formats.conversations import (
    CHAT,
    CLAUDE,
    CODEX,
    PARTS,
    USER,
    chat_pair,
    messages_pair,
    responses_pair,
)
from tests.formats.routes import claude
from tests.selection import every_value

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
CLAUDE_ON_CHAT = next(one for one in LISTED if one.id == "claude-haiku-4.5")
OLDER_CLAUDE = claude("claude-sonnet-5")


def sent(client: Any, content: bytes) -> list[Any]:
    """Return the request for each model, and everything else derived from the conversation."""
    found: list[Any] = []
    for model in (None, *MODELS, CLAUDE_ON_CHAT, OLDER_CLAUDE):
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
        found += [list(blocks(prepared.api.name, prepared.body))]
    return found


def chat_parts(id: str) -> list[Any]:
    """Return a call and its result as qwen-code sends them."""
    return chat_pair(id, output=PARTS["content"])


@every_value
@pytest.mark.parametrize("tools", [True, False], ids=["tools", "no tools"])
@pytest.mark.parametrize(("client", "field", "turns"), CASES)
def test_nothing_depends_on_how_it_is_read(
    client: Any, field: str, turns: list[Any], tools: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both decoders produce the same messages, notes and errors for every model."""
    offered = {"tools": [TOOLS[client]]} if tools else {}
    body = {"model": "gpt-4o", field: turns, **MORE[client], **offered}
    content = json.dumps(body).encode()
    general = sent(client, content)
    monkeypatch.setattr(plain_turns, "MIN_SIZE", 0)
    monkeypatch.setattr(plain_turns, "MIN_TURNS", 0)

    assert general == sent(client, content)


@pytest.mark.parametrize(
    ("client", "pair"),
    [
        pytest.param(CHAT_COMPLETIONS, chat_pair, id="chat"),
        pytest.param(CHAT_COMPLETIONS, chat_parts, id="chat, with results in parts"),
        pytest.param(MESSAGES, messages_pair, id="messages"),
        pytest.param(RESPONSES, responses_pair, id="responses"),
    ],
)
def test_long_conversations_stay_small_objects(client: Any, pair: Callable[..., list[Any]]) -> None:
    """Messages that need no change are not decoded to dicts, unless Copilot refuses a field."""
    turns = [USER, *[turn for number in range(2000) for turn in pair(f"call_{number}")], USER]
    (field,) = FIELDS[client]
    body = {"model": "gpt-4o", field: turns, **MORE[client], "tools": [TOOLS[client]]}
    request = client.parse(json.dumps(body).encode())
    model = next((one for one in MODELS if client.path in (one.endpoints or ())), None)
    model = None if client is CHAT_COMPLETIONS else model  # Gemini requires signed calls
    prepared = prepare(client, request, model, ReasoningCache())

    assert isinstance(prepared.body[field], PlainTurns)
    changed = without_field(prepared.body, (field, "*", "role"))
    assert "role" in str(prepared.body[field].decoded())
    assert "role" not in str(changed[field])


@pytest.mark.parametrize("client", FIELDS, ids=lambda client: client.name)
def test_values_are_counted(client: Any) -> None:
    """A long request may have commas in its texts, but only a limited number of values."""
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
    """Both decoders lead to nearly the same estimate."""
    body = agent_body(client.client_path, 200_000, "Go on.")
    (field,) = FIELDS[client]
    said = [{"role": "user", "content": text * 2000}]
    content = json.dumps({**body, "model": "gpt-4o", field: [*body[field], *said]})
    request = client.parse(content.encode())
    assert isinstance(request[field], PlainTurns)
    exact = request_tokens({**request, field: request[field].decoded()})

    assert 0.95 < request_tokens(request) / exact < 1.05
