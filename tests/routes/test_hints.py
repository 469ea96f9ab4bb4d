"""Errors say what to do next."""

import json
from typing import Any

import httpx
import pytest

from copilot_proxy.settings import load_settings
from copilot_proxy.simulator import Simulator
from tests.conftest import Proxy, settings_at

pytestmark = pytest.mark.usefixtures("no_retry_delays")

CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}
PATHS = ("/v1/chat/completions", "/v1/responses", "/v1/messages", "/v1/embeddings")
BAD = (b"", b"{", b"[]", b"{}", b"\xff", b"[" * 100_000, b'{"model": 1}')


def hint_of(answer: httpx.Response) -> str:
    error: dict[str, Any] = answer.json()["error"]
    return str(error.get("hint", ""))


def test_every_mistake_in_a_body_has_a_hint(proxy: Proxy) -> None:
    """Invalid JSON, a wrong type, bad compression and a missing field have hints on every API."""
    with proxy.client() as client:
        for path in PATHS:
            for body in BAD:
                answer = client.post(path, content=body)
                assert (400, True) == (answer.status_code, hint_of(answer) != ""), (path, body[:9])
            compressed = client.post(path, content=b"x", headers={"content-encoding": "gzip"})
            assert hint_of(compressed)
            empty = {"model": "gpt-4o", "messages": [], "input": [], "max_tokens": 9}
            assert hint_of(client.post(path, json=empty))


def test_a_wrong_method_says_which_is_right(proxy: Proxy) -> None:
    """The right method is in the Allow header for programs, and in the hint for users."""
    with proxy.client() as client:
        answers = [client.delete("/v1/models"), client.get("/v1/chat/completions")]

    assert [405, 405] == [answer.status_code for answer in answers]
    assert ["Use GET.", "Use POST."] == [hint_of(answer) for answer in answers]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("simulated", [False, True])
def test_commands_for_the_simulator(simulator: Simulator, simulated: bool, stream: bool) -> None:
    """With the simulator, the hint contains the command that lists the simulator's models."""
    settings = settings_at(simulator)
    with Proxy(settings, simulated=simulated) as proxy, proxy.client() as client:
        body = {**CHAT, "model": "nope", "stream": stream}
        hint = hint_of(client.post("/v1/chat/completions", json=body))

    assert "copilot-proxy models" in hint
    assert simulated == ("copilot-proxy models --simulate" in hint)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_failed_token_exchange_may_be_repeated(
    simulator: Simulator, path: str, stream: bool
) -> None:
    """Copilot was not called, so nothing can have been billed, and SDKs may retry."""
    simulator.state.github_down = True
    body = json.dumps({**CHAT, "max_tokens": 9, "stream": stream})
    with Proxy(settings_at(simulator)) as proxy, proxy.client() as client:
        answer = client.post(path, content=body)

    assert 502 == answer.status_code
    assert "upstream_unreachable" == answer.json()["error"]["code"]
    assert int(answer.headers["retry-after"]) <= 3
    assert "x-should-retry" not in answer.headers


def test_a_failed_list_of_models_blames_no_model(simulator: Simulator) -> None:
    """With a 503, Copilot usually means that a model's provider is busy, but a list has none."""
    faults = simulator.state.faults
    with Proxy(settings_at(simulator)) as proxy, proxy.client() as client:
        faults.on("unavailable_503", path="/models")
        listed = hint_of(client.get("/v1/models"))
        faults.on("unavailable_503", path="/chat/completions")
        asked = hint_of(client.post("/v1/chat/completions", json=CHAT))

    assert "model" not in listed
    assert "githubstatus.com" in listed
    assert "model's provider is busy" in asked


def test_a_failed_list_of_models_may_be_retried(simulator: Simulator) -> None:
    """Listing models is free, so clients may retry it."""
    simulator.state.github_down = True
    with Proxy(settings_at(simulator)) as proxy, proxy.client() as client:
        answer = client.get("/v1/models")

    assert (502, None) == (answer.status_code, answer.headers.get("x-should-retry"))


def test_an_unknown_host_gets_the_right_address(proxy: Proxy) -> None:
    """The hint contains the address with the port; an empty Host header is not quoted as a name."""
    with proxy.client() as client:
        unknown = client.get("/health", headers={"host": "evil.example"})
        empty = client.get("/health", headers={"host": ""})

    assert f"Use {proxy.url}, or allow the name" in hint_of(unknown)
    assert f"Use {proxy.url}." == hint_of(empty)
    assert "''" not in empty.text


def test_a_refused_token_of_the_environment_is_named(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the variable is set, signing in has no effect, and the server must be restarted."""
    monkeypatch.setenv("COPILOT_PROXY_GITHUB_TOKEN", "ghu_0123456789abcdefRevoked")
    settings = load_settings({"github_url": simulator.url, "github_api_url": simulator.url})
    with Proxy(settings) as proxy, proxy.client() as client:
        answer = client.post("/v1/chat/completions", json=CHAT)

    assert 401 == answer.status_code
    assert "Unset COPILOT_PROXY_GITHUB_TOKEN, which overrides any sign-in" in hint_of(answer)
    assert "restart the server" in hint_of(answer)


def test_a_models_name_in_another_services_spelling(proxy: Proxy) -> None:
    """The error suggests only the model that the client means."""
    with proxy.client() as client:
        for name in ("GPT-4.1", "openai/gpt-4.1"):
            answer = client.post("/v1/chat/completions", json={**CHAT, "model": name})
            assert 404 == answer.status_code
            assert hint_of(answer).startswith("Did you mean gpt-4.1? ")


@pytest.mark.parametrize(
    ("catalogue", "model", "hint"),
    [
        (
            "2026-11",
            "claude-opus-5",
            "Choose another model: claude-opus-5 is in the account's list",
        ),
        ("future", "plain-1", "The account has no model that can be chosen."),
    ],
)
def test_a_model_that_copilot_does_not_serve(catalogue: str, model: str, hint: str) -> None:
    """The hint does not suggest another model if the account cannot use any."""
    with (
        Simulator(catalogue=catalogue, pace=0) as simulator,
        Proxy(settings_at(simulator)) as proxy,
    ):
        simulator.state.faults.on("model_not_supported")
        with proxy.client() as client:
            answer = client.post("/v1/chat/completions", json={**CHAT, "model": model})

    assert (404, True) == (answer.status_code, hint_of(answer).startswith(hint))
