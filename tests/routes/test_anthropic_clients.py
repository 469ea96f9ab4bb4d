"""Features that Anthropic's clients expect: paths, headers, model lists, and the error format."""

import json
from typing import Any

import pytest

from copilot_proxy.simulator import Simulator
from tests.conftest import Proxy, settings_at

PATH = "/v1/messages"
NOTES = "x-copilot-proxy-notes"
VERSION = {"anthropic-version": "2023-06-01"}
HELLO = {"model": "claude-sonnet-4.5", "messages": [{"role": "user", "content": "Hi"}]}


def check_anthropic(body: Any, type: str) -> None:
    """Fail unless `body` is Anthropic's error object of the given type."""
    assert {"type", "error", "request_id"} == set(body)
    assert ("error", type) == (body["type"], body["error"]["type"])
    assert body["error"]["message"]


def check_openai(body: Any) -> None:
    """Fail unless `body` is OpenAI's error object."""
    assert ["error"] == list(body)
    assert {"message", "type", "param", "code"} <= set(body["error"])


@pytest.mark.parametrize("query", ["", "?beta=true"])
def test_beta_in_the_address(proxy: Proxy, simulator: Simulator, query: str) -> None:
    """?beta=true, which SDKs add, changes nothing and is not sent to Copilot."""
    with proxy.client() as client:
        answer = client.post(PATH + query, json={**HELLO, "max_tokens": 50})
        assert 200 == answer.status_code
        counted = client.post(f"{PATH}/count_tokens{query}", json=HELLO)

    assert counted.json()["input_tokens"] > 0
    assert ["", ""] == [r.query for r in simulator.state.requests if r.path.startswith(PATH)]


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses", "/v1/embeddings"])
def test_openais_paths_with_the_version(proxy: Proxy, path: str) -> None:
    """A client that sends anthropic-version on one of OpenAI's paths gets OpenAI's errors."""
    with proxy.client(headers=VERSION) as client:
        answer = client.post(path, json={"model": "no-such-model", "messages": [], "input": "Hi"})

    assert answer.status_code in (400, 404)
    check_openai(answer.json())


def test_head_of_the_root(proxy: Proxy) -> None:
    """HEAD /, which clients use to check that the server is up, gets an empty response."""
    with proxy.client() as client:
        answer = client.head("/")

    assert (200, b"") == (answer.status_code, answer.content)


def test_models_by_version(proxy: Proxy) -> None:
    """The header anthropic-version determines the format of the model list and of single models."""
    with proxy.client() as client:
        openai = client.get("/v1/models").json()
        anthropic = client.get("/v1/models", headers=VERSION).json()
        one = client.get("/v1/models/claude-sonnet-4-5", headers=VERSION).json()
        other = client.get("/v1/models/claude-sonnet-4-5").json()

    assert "list" == openai["object"]
    assert {"data", "has_more", "first_id", "last_id"} == set(anthropic)
    ids = [model["id"] for model in anthropic["data"]]
    assert (False, ids[0], ids[-1]) == tuple(
        anthropic[name] for name in ("has_more", "first_id", "last_id")
    )
    assert {"gpt-5.5", "gemini-2.5-pro", "claude-opus-5"} < set(ids)
    assert "text-embedding-3-small" not in ids
    assert all({"id", "type", "display_name", "created_at"} <= set(m) for m in anthropic["data"])
    assert ("model", "claude-sonnet-4-5") == (one["type"], one["id"])
    assert ("model", "claude-sonnet-4-5") == (other["object"], other["id"])


@pytest.mark.parametrize(
    ("method", "path", "status", "type"),
    [
        ("GET", "/v1/models/no-such-model", 404, "not_found_error"),
        ("GET", "/v1/nothing", 404, "not_found_error"),
        ("POST", "/v1/models", 405, "invalid_request_error"),
    ],
)
def test_errors_by_version(proxy: Proxy, method: str, path: str, status: int, type: str) -> None:
    """The header anthropic-version determines the format of errors if the path does not."""
    with proxy.client() as client:
        anthropic = client.request(method, path, headers=VERSION)
        openai = client.request(method, path)

    assert (status, status) == (anthropic.status_code, openai.status_code)
    check_anthropic(anthropic.json(), type)
    check_openai(openai.json())
    assert f"req_{anthropic.headers['request-id']}" == anthropic.json()["request_id"]
    assert "request-id" not in openai.headers


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "type"),
    [
        ("POST", PATH, {}, 400, "invalid_request_error"),
        ("POST", PATH, HELLO, 400, "invalid_request_error"),
        ("POST", f"{PATH}/count_tokens", {}, 400, "invalid_request_error"),
        ("POST", PATH, {**HELLO, "max_tokens": 9, "model": "x"}, 404, "not_found_error"),
        ("GET", PATH, None, 405, "invalid_request_error"),
        ("POST", f"{PATH}/batches", {}, 404, "not_found_error"),
    ],
)
def test_errors_on_messages(
    proxy: Proxy, method: str, path: str, body: Any, status: int, type: str
) -> None:
    """On /v1/messages, every error has Anthropic's format, even without anthropic-version."""
    with proxy.client() as client:
        answer = client.request(method, path, json=body)

    assert status == answer.status_code
    check_anthropic(answer.json(), type)


@pytest.mark.parametrize(
    ("headers", "status", "type"),
    [
        ({}, 401, "authentication_error"),
        ({"x-api-key": "wrong"}, 401, "authentication_error"),
        ({"authorization": "Bearer wrong"}, 401, "authentication_error"),
        ({"x-api-key": "right", "host": "evil.example"}, 403, "permission_error"),
        ({"x-api-key": "right", "origin": "http://evil.example"}, 403, "permission_error"),
    ],
)
def test_access_errors(
    simulator: Simulator, headers: dict[str, str], status: int, type: str
) -> None:
    """Errors about keys, hosts and origins have Anthropic's format on /v1/messages."""
    with Proxy(settings_at(simulator, api_key="right")) as proxy, proxy.client() as client:
        for path in (PATH, "/messages", f"{PATH}/count_tokens", "/v1/v1/messages/"):
            answer = client.post(path, json=HELLO, headers=headers)

            assert (path, status) == (path, answer.status_code)
            check_anthropic(answer.json(), type)
    assert [] == [record for record in simulator.state.requests if record.path.startswith(PATH)]


@pytest.mark.parametrize("header", ["x-api-key", "authorization"])
def test_keys(simulator: Simulator, header: str) -> None:
    """The key is accepted in x-api-key, as Anthropic's SDK sends it, and as a Bearer token."""
    key = "right" if header == "x-api-key" else "Bearer right"
    with Proxy(settings_at(simulator, api_key="right")) as proxy, proxy.client() as client:
        answer = client.post(PATH, json={**HELLO, "max_tokens": 50}, headers={header: key})

    assert 200 == answer.status_code
    assert "right" not in str(simulator.state.requests[-1].headers)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/responses/resp_1"),
        ("DELETE", "/v1/responses/resp_1"),
        ("GET", "/responses/resp_1/input_items"),
        ("POST", "/v1/responses/resp_1/cancel"),
    ],
)
def test_stored_responses(proxy: Proxy, simulator: Simulator, method: str, path: str) -> None:
    """A request for a stored response gets a 404 that says what to do instead."""
    with proxy.client() as client:
        answer = client.request(method, path)

    assert 404 == answer.status_code
    check_openai(answer.json())
    assert answer.json()["error"]["hint"]
    assert [] == [r for r in simulator.state.requests if r.path.startswith("/responses")]


def test_previous_response(proxy: Proxy, simulator: Simulator) -> None:
    """A request with previous_response_id gets the error code that makes SDKs resend everything."""
    body = {"model": "gpt-5.5", "input": "Hi", "previous_response_id": "resp_1"}
    with proxy.client() as client:
        answer = client.post("/v1/responses", json=body)

    assert "previous_response_not_found" == answer.json()["error"]["code"]
    assert [] == [r for r in simulator.state.requests if r.path == "/responses"]


@pytest.mark.parametrize("model", ["gpt-5.4", "gemini-2.5-pro"])
def test_the_length_of_the_prompt_comes_first(proxy: Proxy, model: str) -> None:
    """Streams from other vendors' models also start with nearly the final input token count."""
    words = "How many words are in this sentence, and is the answer odd or even? " * 20
    asked = {"model": model, "messages": [{"role": "user", "content": words}], "max_tokens": 50}
    with proxy.client() as client:
        lines = client.post(PATH, json={**asked, "stream": True}).text.splitlines()
        whole = client.post(PATH, json=asked).json()

    events = [json.loads(line[6:]) for line in lines if line.startswith("data: ")]
    estimated = events[0]["message"]["usage"]
    counted = next(e["usage"] for e in events if e["type"] == "message_delta")
    assert 0.7 < estimated["input_tokens"] / counted["input_tokens"] < 1.5
    assert 0 == estimated["cache_read_input_tokens"] == estimated["output_tokens"]
    usage = whole["usage"]
    assert counted["input_tokens"] == usage["input_tokens"] + usage["cache_read_input_tokens"]


def test_a_title_as_json_by_haiku() -> None:
    """The title's schema becomes an instruction, since Copilot refuses schemas for this model."""
    schema = {"type": "object", "properties": {"title": {"type": "string"}}}
    config = {"effort": "low", "format": {"type": "json_schema", "schema": schema}}
    asked = {**HELLO, "model": "claude-haiku-4.5", "max_tokens": 50, "output_config": config}
    with (
        Simulator(catalogue="2026-11", pace=0) as simulator,
        Proxy(settings_at(simulator)) as proxy,
        proxy.client() as client,
    ):
        answer = client.post(PATH, json=asked)
        body = simulator.state.requests[-1].body

    assert 200 == answer.status_code, answer.text
    assert "changed output_config.format to an instruction" in answer.headers[NOTES]
    assert '"title"' in body["system"][-1]["text"]
