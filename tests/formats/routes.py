"""Translates requests from each client API to each of Copilot's APIs, and the answers back.

Nothing is sent: the request is only prepared, and the answer is built from a test's own events.
"""

import json
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import pytest

from copilot_proxy.catalogue import Model, parse_models
from copilot_proxy.formats.chat_completions.api import CHAT_COMPLETIONS
from copilot_proxy.formats.client_api import ClientApi
from copilot_proxy.formats.messages.api import MESSAGES
from copilot_proxy.formats.reasoning_cache import ReasoningCache
from copilot_proxy.formats.responses.api import RESPONSES
from copilot_proxy.formats.translation import PreparedRequest, prepare
from copilot_proxy.formats.types import ClientResponse, Json
from tests.formats.rules.asking import body_of

APIS: Final[dict[str, ClientApi]] = {
    "chat_completions": CHAT_COMPLETIONS,
    "responses": RESPONSES,
    "messages": MESSAGES,
}
PATHS: Final = {
    "chat_completions": "/chat/completions",
    "responses": "/responses",
    "messages": "/v1/messages",
}
LIMITS: Final = {"max_output_tokens": 64000, "max_prompt_tokens": 200_000}
EFFORTS: Final = ["low", "medium", "high", "xhigh", "max"]

every_client = pytest.mark.parametrize("client", APIS)


def model_on(route: str, id: str, vendor: str = "OpenAI", **supports: Any) -> Model:
    """Return a model that Copilot serves only on `route`."""
    supported = {"streaming": True, "tool_calls": True, "parallel_tool_calls": True, **supports}
    entry = {
        "id": id,
        "vendor": vendor,
        "supported_endpoints": [PATHS[route]],
        "capabilities": {"type": "chat", "limits": LIMITS, "supports": supported},
    }
    (model,) = parse_models([entry])
    return model


def claude(id: str, **supports: Any) -> Model:
    """Return a Claude model on Messages, with adaptive thinking and all efforts by default."""
    supported = {
        "adaptive_thinking": True,
        "reasoning_effort": EFFORTS,
        "max_thinking_budget": 32000,
        "structured_outputs": True,
        **supports,
    }
    supported = {name: value for name, value in supported.items() if value is not None}
    return model_on("messages", id, "Anthropic", **supported)


def sent(
    client: str, model: Model, *steps: Json, betas: Iterable[str] = (), **wish: Any
) -> PreparedRequest:
    """Return the prepared request from `client` with a conversation of `steps`.

    `wish` accepts the options of `asking.body_of`, and `own` contains additional fields of the
    request.
    """
    own = wish.pop("own", {})
    body = {"model": model.id, **body_of(client, *steps, **wish), **own}
    return prepared(client, model, body, betas=betas)


def prepared(
    client: str,
    model: Model,
    body: Json,
    *,
    betas: Iterable[str] = (),
    cache: ReasoningCache | None = None,
) -> PreparedRequest:
    """Return the prepared request from `client`, after parsing `body` as the server does."""
    api = APIS[client]
    request = api.parse(json.dumps(body).encode())
    return prepare(api, request, model, cache or ReasoningCache(), betas=list(betas))


class Answer(NamedTuple):
    """The content of an answer, independent of the client's API."""

    text: str
    finish: str
    """The finish reason, in the words of Chat Completions."""
    refusal: str
    raw: ClientResponse


def answer_of(request: PreparedRequest, events: Iterable[object], client: str) -> Answer:
    """Return the whole answer to `request`, built from Copilot's `events` with a proper end."""
    translator = request.translator
    out = [event for data in events for event in translator.feed(data)]
    out += translator.close(done=True)
    return _READERS[client](translator.whole(out))


def _chat(raw: Json) -> Answer:
    (choice,) = raw["choices"]
    message = choice["message"]
    return Answer(message["content"] or "", choice["finish_reason"], message["refusal"] or "", raw)


def _responses(raw: Json) -> Answer:
    parts = [part for item in raw["output"] for part in item.get("content") or ()]
    reasons = {"max_output_tokens": "length", "content_filter": "content_filter"}
    details = raw.get("incomplete_details") or {}
    called = any(item["type"] == "function_call" for item in raw["output"])
    return Answer(
        "".join(part.get("text", "") for part in parts),
        reasons.get(str(details.get("reason")), "tool_calls" if called else "stop"),
        "".join(part.get("refusal", "") for part in parts),
        raw,
    )


def _messages(raw: Json) -> Answer:
    reasons = {
        "end_turn": "stop",
        "max_tokens": "length",
        "tool_use": "tool_calls",
        "refusal": "content_filter",
    }
    texts = [block["text"] for block in raw["content"] if block["type"] == "text"]
    details = raw.get("stop_details") or {}
    return Answer(
        "".join(texts), reasons[raw["stop_reason"]], details.get("explanation") or "", raw
    )


_READERS: Final = {"chat_completions": _chat, "responses": _responses, "messages": _messages}
