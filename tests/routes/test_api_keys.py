"""Named keys: the log shows who sent a request, and a key may be limited to some models."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from copilot_proxy.errors import UsageError
from copilot_proxy.logs.reporter import Reporter
from copilot_proxy.logs.setup import logging_to_stderr
from copilot_proxy.server.listen_socket import bind
from copilot_proxy.settings import load_settings
from copilot_proxy.simulator import SIMULATED_TOKEN, Simulator
from tests.conftest import Proxy, settings_at

pytestmark = pytest.mark.usefixtures("no_retry_delays")

LAPTOP, CI = "laptop-key-0123456789", "ci-key-0123456789"
USER = [{"role": "user", "content": "Hello"}]
REQUESTS: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": USER},
    "/v1/responses": {"input": "Hello"},
    "/v1/messages": {"max_tokens": 9, "messages": USER},
    "/v1/messages/count_tokens": {"messages": USER},
    "/v1/embeddings": {"input": "Hello"},
}
ALIASES = {"fast": "gpt-5-mini", "smart": "claude-opus-5", "start": "default", "gpt-4.1": "gpt-5.5"}


@pytest.fixture
def limited(simulator: Simulator) -> Iterator[Proxy]:
    """A server with a key for all models, and a key for gpt-5-mini and Claude Haiku only."""
    settings = settings_at(
        simulator,
        aliases=ALIASES,
        api_keys={
            "laptop": LAPTOP,
            "ci": {"key": CI, "models": ["gpt-5-mini", "claude-haiku-*"]},
        },
    )
    with Proxy(settings) as running:
        yield running


def ask(
    proxy: Proxy, model: str, path: str = "/v1/chat/completions", key: str = CI, **headers: str
) -> httpx.Response:
    with proxy.client(headers={"x-api-key": key, **headers}) as client:
        return client.post(path, json={"model": model, **REQUESTS[path]})


def models_called(simulator: Simulator) -> list[str]:
    return [r.body["model"] for r in simulator.state.requests if isinstance(r.body, dict)]


@pytest.mark.parametrize("path", REQUESTS)
def test_a_key_allows_its_models_only(limited: Proxy, simulator: Simulator, path: str) -> None:
    """On every API, other models are refused in the API's format, and Copilot is not called."""
    model = "text-embedding-3-small" if "embeddings" in path else "gpt-5.5"
    refused = ask(limited, model, path)

    error = refused.json()["error"]
    assert 403 == refused.status_code
    assert ("permission_error", "model_not_allowed") == (error["type"], error["code"])
    assert "gpt-5-mini, claude-haiku-*" in refused.text
    assert CI not in refused.text
    assert [] == models_called(simulator)
    assert 200 == ask(limited, model, path, LAPTOP).status_code


@pytest.mark.parametrize(
    "name",
    [
        "gpt-5-mini",
        "gpt-5-mini-latest",
        "fast",
        "claude-haiku-4.5",
        "claude-haiku-4-5-20260401",
        "haiku",
    ],
)
def test_other_names_of_its_models(limited: Proxy, name: str) -> None:
    """A key allows its models under all of their names."""
    assert 200 == ask(limited, name).status_code


@pytest.mark.parametrize(
    "name",
    [
        "smart",
        "start",
        "default",
        "opus",
        "gpt-4.1",
        "claude-opus-4-5-20260401",
        "claude-opus-4.6[1m]",
        "gpt-5-mini*",
        "gpt-5-mini\n",
        "*",
    ],
)
@pytest.mark.parametrize("listed", [True, False], ids=["listed", "no list"])
def test_no_alias_bypasses_the_limit(
    limited: Proxy, simulator: Simulator, name: str, listed: bool
) -> None:
    """On every path, the limit applies to the model that a name resolves to.

    This is true even if the model list cannot be loaded.
    """
    if not listed:
        simulator.state.faults.on("models_500")

    codes = {ask(limited, name, path).status_code for path in REQUESTS}

    assert codes <= ({403, 404} if listed else {403})
    assert [] == models_called(simulator)


@pytest.mark.parametrize("path", REQUESTS)
def test_without_the_list_a_name_means_the_same_on_every_path(
    simulator: Simulator, path: str
) -> None:
    """The key must allow the model that the alias resolves to, which is also sent to Copilot.

    This is true even if the alias is the id of a model that the key does not allow.
    """
    simulator.state.faults.on("models_500")
    settings = settings_at(
        simulator,
        aliases={"claude-opus-5": "gpt-5-mini"},
        api_keys={"ci": {"key": CI, "models": ["gpt-5-mini"]}},
    )
    with Proxy(settings) as proxy:
        ask(proxy, "claude-opus-5", path)
        record = proxy.wait_for_record()

    assert {"gpt-5-mini"} == set(models_called(simulator))
    assert "gpt-5-mini" == record.model


def test_without_the_list_its_models_still_answer(limited: Proxy, simulator: Simulator) -> None:
    """Without the model list, a key still allows its models."""
    simulator.state.faults.on("models_500")

    codes = [ask(limited, name).status_code for name in ("gpt-5-mini", "fast", "claude-haiku-4.5")]

    assert [200] * 3 == codes


def test_an_alias_as_the_limit(simulator: Simulator) -> None:
    """A limit may be one of the user's aliases; it allows the alias's current model."""
    keys = {"ci": {"key": CI, "models": ["smart"]}}
    with Proxy(settings_at(simulator, aliases=ALIASES, api_keys=keys)) as proxy:
        codes = [ask(proxy, name).status_code for name in ("smart", "claude-opus-5", "fast")]

    assert [200, 200, 403] == codes


def test_the_long_context_is_a_separate_model(simulator: Simulator) -> None:
    """A client that requests the long context gets the variant that its key allows."""
    keys = {"ci": {"key": CI, "models": ["claude-opus-4.6"]}, "laptop": LAPTOP}
    beta = {"anthropic-beta": "context-1m-2025-08-07"}
    with Proxy(settings_at(simulator, api_keys=keys)) as proxy:
        for key in (CI, LAPTOP):
            assert 200 == ask(proxy, "claude-opus-4.6", "/v1/messages", key, **beta).status_code

    assert ["claude-opus-4.6", "claude-opus-4.6-1m"] == models_called(simulator)


def test_the_list_has_the_allowed_models(limited: Proxy) -> None:
    """The model list has only models that the key allows, so clients offer no others."""
    with limited.client(headers={"x-api-key": CI}) as client:
        listed = [entry["id"] for entry in client.get("/v1/models").json()["data"]]
        version = {"anthropic-version": "2023-06-01"}
        anthropic = client.get("/v1/models", headers=version).json()["data"]
        one = client.get("/v1/models/fast")
        refused = client.get("/v1/models/gpt-5.5")
        unknown = client.get("/v1/models/gpt-5.9")

    assert ["fast", "claude-haiku-4.5", "gpt-5-mini"] == [listed[0], *sorted(listed[1:])]
    assert {"gpt-5-mini", "claude-haiku-4.5"} == {entry["id"] for entry in anthropic}
    assert (200, 403, 404) == (one.status_code, refused.status_code, unknown.status_code)
    assert "gpt-5.5" not in unknown.json()["error"]["hint"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"authorization": f"Bearer {LAPTOP}"}, 200),
        ({"x-api-key": CI}, 200),
        ({"authorization": "Bearer the-unnamed"}, 200),
        ({"authorization": "Bearer other", "x-api-key": LAPTOP}, 200),
        ({"x-api-key": LAPTOP[:-1]}, 401),
        ({"x-api-key": f"{LAPTOP}0"}, 401),
        ({"x-api-key": "laptop"}, 401),
        ({"x-api-key": f"{LAPTOP},{CI}"}, 401),
        ({}, 401),
    ],
)
def test_any_of_the_keys(simulator: Simulator, headers: dict[str, str], status: int) -> None:
    """Each key, named or not, grants access in either header; similar values do not."""
    keys = {"laptop": LAPTOP, "ci": CI}
    settings = settings_at(simulator, api_key="the-unnamed", api_keys=keys)
    with Proxy(settings) as proxy, proxy.client() as client:
        assert status == client.get("/v1/models", headers=headers).status_code


def test_the_record_has_the_name(limited: Proxy) -> None:
    """The request record has the key's name, even for refused requests, but never the key."""
    ask(limited, "gpt-5-mini")
    ask(limited, "gpt-5.5")
    ask(limited, "gpt-5.5", key=LAPTOP)
    limited.wait_for_record(3)

    assert [("ci", 200), ("ci", 403), ("laptop", 200)] == [
        (record.key, record.status) for record in limited.records
    ]
    assert CI not in repr(limited.records)


def test_a_callers_own_token_is_not_used(limited: Proxy, simulator: Simulator) -> None:
    """If the server has keys, a caller's GitHub token does not grant access."""
    with limited.client(headers={"authorization": f"Bearer {SIMULATED_TOKEN}"}) as client:
        answer = client.post("/v1/chat/completions", json={"model": "gpt-5-mini", "messages": USER})

    assert 401 == answer.status_code
    assert [] == simulator.state.requests


def test_named_keys_open_the_network(tmp_path: Path) -> None:
    """A named key is enough to serve on an address that other machines can reach."""
    keys = {"laptop": LAPTOP}
    bind(load_settings({"host": "0.0.0.0", "port": 0, "api_keys": keys})).close()


CONFIG = f"""
[api_keys]
laptop = "{LAPTOP}"
ci = {{key = "{CI}", models = ["gpt-5-mini", "claude-*"]}}
"""


def test_in_the_file_and_in_the_environment(tmp_path: Path) -> None:
    """Keys are a table in the file and pairs in the environment; printed settings show no key."""
    (tmp_path / "config.toml").write_text(CONFIG, encoding="utf-8")
    home = {"COPILOT_PROXY_HOME_DIR": str(tmp_path)}
    given = load_settings(environ=home)
    pairs = {"COPILOT_PROXY_API_KEYS": f"laptop={LAPTOP}, ci={CI}="}
    plain = load_settings(environ={**home, **pairs})

    assert [("laptop", LAPTOP, ()), ("ci", CI, ("gpt-5-mini", "claude-*"))] == [
        (key.name, key.key.reveal(), key.models) for key in given.api_keys
    ]
    assert [("laptop", LAPTOP), ("ci", f"{CI}=")] == [
        (key.name, key.key.reveal()) for key in plain.api_keys
    ]
    assert LAPTOP not in repr(given) + repr(plain)


@pytest.mark.parametrize(
    "keys",
    [
        {"a": LAPTOP, "b": LAPTOP},
        {"a": ""},
        {"a": "   "},
        {"a": "short"},
        {"a": "has a space in it"},
        {"a": "niño-0123456789"},
        {"a": {"models": ["x"]}},
        {"a": {"key": LAPTOP, "models": []}},
        {"a": {"key": LAPTOP, "models": 5}},
        {"a": {"key": LAPTOP, LAPTOP: ["x"]}},
        {"a": 5},
        {"": LAPTOP},
        {LAPTOP + LAPTOP: "laptop"},
        {"a b": LAPTOP},
        5,
        LAPTOP,
        f"a={LAPTOP},a={CI}",
        f"a={LAPTOP},{CI}",
        f"{LAPTOP},{CI}",
    ],
    ids=str,
)
def test_unusable_keys(keys: object) -> None:
    """The error says what is wrong without showing any key, even a key in the wrong place."""
    with pytest.raises(UsageError) as raised:
        load_settings({"api_keys": keys})

    for key in (LAPTOP, CI, "niño", "has a space"):
        assert key not in str(raised.value)
    assert "api-keys" in str(raised.value)


def test_a_named_key_differs_from_the_unnamed(tmp_path: Path) -> None:
    """Two equal keys are an error, since it would be unclear which limit applies."""
    with pytest.raises(UsageError) as raised:
        load_settings({"api_key": LAPTOP, "api_keys": {"ci": {"key": LAPTOP, "models": ["x"]}}})

    assert "'ci' has the same key as api_key" in raised.value.message
    assert LAPTOP not in raised.value.message


def test_a_refusal_in_json(limited: Proxy) -> None:
    """If the key does not allow the model, even a request for a stream gets an error in JSON."""
    with limited.client(headers={"x-api-key": CI}) as client:
        answer = client.post(
            "/v1/chat/completions", json={"model": "gpt-5.5", "messages": USER, "stream": True}
        )

    assert 403 == answer.status_code
    assert {"message", "type", "param", "code", "hint", "request_id"} <= json.loads(answer.text)[
        "error"
    ].keys()


@pytest.mark.parametrize("form", ["text", "json"])
def test_every_line_of_the_log_names_the_key(
    limited: Proxy, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The log line has the key's name even without a model, as for a refused lookup."""
    with logging_to_stderr(form, Reporter()), limited.client() as client:
        refused = client.get("/v1/models/gpt-5.5", headers={"x-api-key": CI})
        client.get("/v1/models", headers={"x-api-key": "wrong"})

    assert 403 == refused.status_code
    first, second = capsys.readouterr().err.splitlines()
    if form == "json":
        assert ("ci", None) == (json.loads(first)["key"], json.loads(second)["key"])
    else:
        assert "GET /v1/models/gpt-5.5 key ci model_not_allowed" in first
        assert " key " not in second
