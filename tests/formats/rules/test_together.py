"""Several rules that apply to one request, on each of Copilot's APIs."""

import json

import pytest

from copilot_proxy.catalogue import Model, parse_models
from copilot_proxy.errors import RequestError
from copilot_proxy.formats.chat_completions.api import CHAT_COMPLETIONS
from copilot_proxy.formats.client_api import ClientApi
from copilot_proxy.formats.messages.api import MESSAGES
from copilot_proxy.formats.reasoning_cache import ReasoningCache
from copilot_proxy.formats.responses.api import RESPONSES
from copilot_proxy.formats.translation import PreparedRequest, prepare
from copilot_proxy.formats.types import Json
from tests.formats.routes import every_client, model_on, sent
from tests.formats.rules.asking import body_of, forced, thinks
from tests.selection import every_value

CLIENTS = (CHAT_COMPLETIONS, RESPONSES, MESSAGES)
ENDPOINTS = ("/chat/completions", "/responses", "/v1/messages")


def a_model(vendor: str, endpoint: str, **capabilities: Json) -> Model:
    capabilities["supports"] = {"streaming": True, **capabilities.get("supports", {})}
    entry = {
        "id": "m-1",
        "vendor": vendor,
        "supported_endpoints": [endpoint],
        "capabilities": {"type": "chat", **capabilities},
    }
    (model,) = parse_models([entry])
    return model


def prepared(client: ClientApi, model: Model, request: Json) -> PreparedRequest:
    parsed = client.parse(json.dumps({"model": "m-1", **request}).encode())
    return prepare(client, parsed, model, cache=ReasoningCache(), request_id="r")


@every_value
@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("vendor", ["Anthropic", "Google", "OpenAI", "Moonshot AI", "New"])
@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_any_vendor_on_any_api(client: ClientApi, vendor: str, endpoint: str) -> None:
    """Any model may be listed on any API, and receives the conversation on that API."""
    body = prepared(
        client,
        a_model(vendor, endpoint),
        body_of(client.name, system="Be brief.", limit=500),
    ).body

    assert "Be brief." in json.dumps(body)
    assert "Hi" in json.dumps(body)
    assert 500 in body.values()


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_the_first_valid_limit_counts(endpoint: str) -> None:
    """Many clients send a limit of 0 for no limit, so 0 does not replace a real limit."""
    request = {**body_of("chat_completions"), "max_completion_tokens": 0, "max_tokens": 50}
    result = prepared(CHAT_COMPLETIONS, a_model("New", endpoint), request)

    limits = [v for k, v in result.body.items() if k.startswith("max_")]
    assert [50] == limits
    assert "dropped max_completion_tokens: 0 is not a valid limit" in result.notes


@pytest.mark.parametrize("endpoint", ENDPOINTS[:2])
def test_a_model_that_does_not_stream_is_not_asked_to(endpoint: str) -> None:
    """A model that cannot stream is not asked to, however high the requested limit is."""
    model = a_model(
        "New",
        endpoint,
        supports={"streaming": False},
        limits={"max_non_streaming_output_tokens": 16000},
    )
    request = body_of("chat_completions", limit=20000, stream=True)

    assert not prepared(CHAT_COMPLETIONS, model, request).body["stream"]


@pytest.mark.parametrize("content", [" ", []])
def test_an_empty_conversation_with_a_cache_mark(content: object) -> None:
    """A conversation without content is the client's mistake, even if it has a cache mark."""
    request = {
        "max_tokens": 10,
        "cache_control": {"type": "ephemeral"},
        "messages": [{"role": "user", "content": content}],
    }
    with pytest.raises(RequestError, match="nothing to answer"):
        prepared(MESSAGES, a_model("Anthropic", "/v1/messages"), request)


@every_client
@pytest.mark.parametrize("route", ["chat_completions", "messages"])
def test_fields_that_claude_refuses_with_thinking(client: str, route: str) -> None:
    """With thinking, Claude refuses a forced tool and a temperature, on every API."""
    supports = {"reasoning_effort": ["low", "high"], "adaptive_thinking": True}
    model = model_on(route, "claude-sonnet-4.6", "Anthropic", **supports)

    with_tool = sent(client, model, effort="high", tool="f", forced=True).body
    with_temperature = sent(client, model, effort="high", temperature=0.5).body

    assert forced(with_tool)
    assert not thinks(with_tool)
    assert thinks(with_temperature)
    assert "temperature" not in with_temperature
