"""Refusals as each client API reports them, so that clients retry and compact correctly."""

import json
from typing import Any, Final

import pytest

from copilot_proxy.catalogue import Model, parse_models
from copilot_proxy.errors import CooldownRefusal, UpstreamError, UpstreamRefusal
from copilot_proxy.formats.apis import client_apis
from copilot_proxy.formats.reasoning_cache import ReasoningCache
from copilot_proxy.formats.translation import prepare
from copilot_proxy.formats.types import Json
from copilot_proxy.formats.upstream_errors import parse_error_response
from copilot_proxy.headers import forwarded_headers
from copilot_proxy.upstreams.cooldowns import Cooldowns
from tests.auth.accounts import Time

CLIENTS: Final = {api.name: api for api in client_apis()}
EACH_CLIENT = pytest.mark.parametrize("client", list(CLIENTS))
NEVER_RETRIED: Final = (400, 402, 403, 413, 421, 422, 424, 466)
"""The statuses after which GitHub's Copilot CLI does not repeat a request.

Claude Code, opencode, pi and qwen-code do not repeat a request after a 424, either.
"""

TOO_LONG: Final = {
    "code": "model_max_prompt_tokens_exceeded",
    "message": "prompt token count of 138898 exceeds the limit of 128000",
}
ITEM: Final = {"type": "message", "id": "m", "role": "assistant", "content": []}
UPSTREAMS: Final[dict[str, tuple[list[Json], Json]]] = {
    # The events that begin an answer, and an error event that ends it.
    "/chat/completions": (
        [{"id": "c", "choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hi"}}]}],
        {"error": TOO_LONG},
    ),
    "/responses": (
        [{"type": "response.created", "response": {"id": "r", "output": []}},
         {"type": "response.output_item.added", "output_index": 0, "item": ITEM}],
        {"type": "response.failed",
         "response": {"id": "r", "status": "failed", "output": [], "error": TOO_LONG}},
    ),
    "/v1/messages": (
        [{"type": "message_start", "message": {"id": "m", "role": "assistant", "content": []}}],
        {"type": "error", "error": {**TOO_LONG, "type": "invalid_request_error"}},
    ),
}  # fmt: skip


def a_model(path: str) -> Model:
    entry = {"id": "m", "vendor": "x", "capabilities": {"type": "chat"}}
    (model,) = parse_models([{**entry, "supported_endpoints": [path]}])
    return model


def refused(status: int, code: str | None, message: str = "No.", **headers: str) -> UpstreamRefusal:
    body = json.dumps({"error": {"message": message, "code": code}}).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return parse_error_response(status, named, body)


# A completions request is sent as several calls, which tests/faults covers.
@pytest.mark.parametrize("client", [name for name in CLIENTS if name != "completions"])
@pytest.mark.parametrize("path", list(UPSTREAMS))
@pytest.mark.parametrize("flat", [False, True])
def test_a_prompt_that_is_too_long_in_mid_stream(client: str, path: str, flat: bool) -> None:
    """Clients that compact the conversation recognize the error on every route."""
    api = CLIENTS[client]
    turns = [{"role": "user", "content": "Hi"}]
    request = {"model": "m", "stream": True}
    request |= {"input": turns} if client == "responses" else {"messages": turns, "max_tokens": 9}
    if client == "gemini":
        request = {"model": "m", "stream": True, "contents": [{"parts": [{"text": "Hi"}]}]}
    parsed = api.parse(json.dumps(request).encode())
    translator = prepare(api, parsed, a_model(path), ReasoningCache()).translator
    begin, end = UPSTREAMS[path]
    if flat and path == "/responses":
        end = {"type": "error", **TOO_LONG}

    for event in begin:
        translator.feed(event)
    try:
        events: Any = translator.feed(end)
    except UpstreamError as error:
        events = translator.fail(error, "id")

    sent = _error_of(events[-1])
    if client == "gemini":
        assert "CONTEXT_LENGTH_EXCEEDED" == sent["details"][0]["reason"]
        assert sent["message"].startswith("The input token count (138898) exceeds the maximum")
        return
    assert "context_length_exceeded" == sent["code"]
    assert client != "messages" or sent["message"].startswith("prompt is too long: 138898 tokens")


def _error_of(event: Json) -> Json:
    if isinstance(event.get("error"), str):
        return event  # for Ollama
    error: Json = event.get("error") or (event.get("response") or event).get("error") or event
    return error


@EACH_CLIENT
@pytest.mark.parametrize(
    "error",
    [
        *(
            refused(402, code)
            for code in (
                "quota_exceeded",
                "free_quota_exceeded",
                "overage_limit_reached",
                "billing_not_configured",
                "additional_spend_limit_reached",
                "custom_billing_not_configured",
                "session_quota_exceeded",
                "session_quota_exceeded:pro",
                None,
            )
        ),
        refused(403, "quota_exceeded"),
        refused(429, "quota_exceeded"),
        refused(413, None),
        refused(415, None),
        refused(421, None),
        refused(422, None),
        refused(424, None),
        refused(466, None),
        refused(400, None, "bad request: missing Editor-Version header for IDE auth"),
        refused(403, None, "forbidden"),
        refused(400, "model_max_prompt_tokens_exceeded"),
    ],
    ids=lambda error: f"{error.upstream_status} {error.upstream_code}",
)
def test_final_refusals_are_not_retried(client: str, error: UpstreamRefusal) -> None:
    """If retrying is pointless, the status is one that no client retries."""
    status = CLIENTS[client].error_status(error)

    assert status in NEVER_RETRIED
    assert status != 402 or client in ("messages", "gemini")


@EACH_CLIENT
def test_a_used_up_quota(client: str) -> None:
    """OpenAI clients stop at 400, Anthropic's at 402 with type billing_error, Google's at 402."""
    error = refused(402, "session_quota_exceeded")
    body: Any = CLIENTS[client].error_body(error, "id")

    if client == "gemini":
        assert 402 == CLIENTS[client].error_status(error) == body["error"]["code"]
        assert "FAILED_PRECONDITION" == body["error"]["status"]
        info = body["error"]["details"][0]
        assert "INSUFFICIENT_QUOTA" == info["reason"]
        assert "session_quota_exceeded" == info["metadata"]["upstream.code"]
        return
    if client == "ollama":
        assert 400 == CLIENTS[client].error_status(error)
        assert "quota" in body["error"]
        return
    expected = (402, "billing_error") if client == "messages" else (400, "insufficient_quota")
    assert expected == (CLIENTS[client].error_status(error), body["error"]["type"])
    assert "insufficient_quota" == body["error"]["code"]
    assert {"status": 402, "code": "session_quota_exceeded"} == body["error"]["upstream"]


@EACH_CLIENT
@pytest.mark.parametrize("status", [408, 500, 502, 503, 529])
def test_temporary_failures_may_be_retried(client: str, status: int) -> None:
    """Temporary failures keep their status, and no header keeps clients from retrying."""
    error = refused(status, None)

    assert status == CLIENTS[client].error_status(error)
    assert "x-should-retry" not in error.headers


@EACH_CLIENT
def test_a_session_limit_in_words(client: str) -> None:
    """The wait in the message becomes both Retry-After and the whole account's cooldown."""
    time = Time()
    cooldowns = Cooldowns(lambda: time.monotonic)
    error = refused(
        429, "user_global_rate_limited:pro", "Session limit. Please retry after 840 seconds."
    )
    with pytest.raises(UpstreamRefusal), cooldowns.guard("chat_completions", "m"):
        raise error
    assert [("account", 840)] == [(one.scope, one.retry_in) for one in cooldowns.active()]

    time.advance(40)
    with pytest.raises(CooldownRefusal) as again, cooldowns.guard("messages", "other"):
        pass

    assert (429, "840") == (CLIENTS[client].error_status(error), error.headers["retry-after"])
    repeated = again.value
    assert (429, "800") == (CLIENTS[client].error_status(repeated), repeated.headers["retry-after"])


def test_quota_headers_are_passed_on_with_all_their_fields() -> None:
    """Fields that GitHub adds to its quota headers reach clients unchanged."""
    value = "ent=300&ov=0.0&ovPerm=false&rem=87.3&tbb=true&ovEnt=-1&totRem=261.9"
    headers = {"x-quota-snapshot-premium_interactions": value, "x-usage-ratelimit-session": value}

    assert headers == forwarded_headers(headers)
