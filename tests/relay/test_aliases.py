"""The user's own names for models."""

from pathlib import Path
from typing import Any

import pytest

from copilot_proxy.errors import UsageError
from copilot_proxy.settings import load_settings
from copilot_proxy.simulator import Simulator
from tests.conftest import Proxy, settings_at

pytestmark = pytest.mark.usefixtures("no_retry_delays")

USER = [{"role": "user", "content": "Hello"}]
CONFIG = """
[aliases]
fast = "gpt-5-mini"
deep = {model = "gpt-5.5", reasoning_effort = "high", max_tokens = 64, temperature = 0.5}
gpt-4o = "claude-sonnet-4.5"
dead = "no-such-model"
"""


@pytest.fixture
def aliases(tmp_path: Path) -> Any:
    """The aliases of a config.toml."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "config.toml").write_text(CONFIG, encoding="utf-8")
    return load_settings().aliases


def test_in_the_environment() -> None:
    """Plain aliases can be set in the environment."""
    settings = load_settings(environ={"COPILOT_PROXY_ALIASES": "fast=gpt-5-mini, smart = opus"})

    assert {"fast": "gpt-5-mini", "smart": "opus"} == {
        name: alias.model for name, alias in settings.aliases.items()
    }


@pytest.mark.parametrize(
    "text",
    [
        "aliases = 5",
        "aliases = {a = 5}",
        "aliases = {a = {}}",
        'aliases = {a = {model = "x", top_k = 1}}',
        'aliases = {a = ""}',
    ],
)
def test_wrong_aliases(text: str, tmp_path: Path) -> None:
    """An invalid alias causes an error that names the file."""
    (tmp_path / "config.toml").write_text(text, encoding="utf-8")

    with pytest.raises(UsageError) as raised:
        load_settings({"home_dir": tmp_path})

    assert "config.toml" in raised.value.message


def test_answered(simulator: Simulator, aliases: Any) -> None:
    """An alias calls its model with its parameters on every API, and answers contain the alias."""
    with Proxy(settings_at(simulator, aliases=aliases)) as proxy, proxy.client() as client:
        chat = client.post("/v1/chat/completions", json={"model": "deep", "messages": USER})
        responses = client.post("/v1/responses", json={"model": "deep", "input": "Hello"})
        messages = client.post(
            "/v1/messages", json={"model": "deep", "max_tokens": 9, "messages": USER}
        )
        over = client.post("/v1/chat/completions", json={"model": "gpt-4o", "messages": USER})
        dead = client.post("/v1/chat/completions", json={"model": "dead", "messages": USER})

    assert 200 == responses.status_code
    assert ["deep", "deep"] == [answer.json()["model"] for answer in (chat, messages)]
    asked = [r.body for r in simulator.state.requests if r.path == "/responses"]
    assert [("gpt-5.5", "high", 64)] * 3 == [
        (body["model"], body["reasoning"]["effort"], body["max_output_tokens"]) for body in asked
    ]
    assert "claude-sonnet-4.5" in over.json()["choices"][0]["message"]["content"]
    assert 404 == dead.status_code


def test_listed(simulator: Simulator, aliases: Any) -> None:
    """Each alias is listed once, with the model that it resolves to."""
    with Proxy(settings_at(simulator, aliases=aliases)) as proxy, proxy.client() as client:
        listed = client.get("/v1/models").json()["data"]
        one = client.get("/v1/models/fast").json()

    ids = [entry["id"] for entry in listed]
    assert any(entry.get("default") for entry in listed)
    assert ["fast", "deep", "gpt-4o"] == ids[:3]
    assert len(ids) == len(set(ids))
    assert ("fast", "gpt-5-mini") == (one["id"], one["resolved_id"])


def test_without_a_catalogue(simulator: Simulator, aliases: Any) -> None:
    """An alias works even if the model list is not available."""
    simulator.state.faults.on("models_500")
    with Proxy(settings_at(simulator, aliases=aliases)) as proxy, proxy.client() as client:
        answer = client.post("/v1/chat/completions", json={"model": "fast", "messages": USER})

    assert 200 == answer.status_code
    assert "gpt-5-mini" == simulator.state.requests[-1].body["model"]


def test_default_without_a_catalogue(simulator: Simulator) -> None:
    """Without a model list, `default` means the model in the settings if that is an id."""
    simulator.state.faults.on("models_500")
    settings = settings_at(simulator, default_model="gpt-5-mini")
    with Proxy(settings) as proxy, proxy.client() as client:
        answer = client.post("/v1/chat/completions", json={"model": "default", "messages": USER})

    assert 200 == answer.status_code
    assert "gpt-5-mini" == simulator.state.requests[-1].body["model"]


@pytest.mark.parametrize("name", ["default", "gpt-mini"])
def test_a_family_without_a_catalogue(simulator: Simulator, name: str) -> None:
    """Without a model list, a family cannot be resolved, and the error says why."""
    simulator.state.faults.on("models_500")
    with Proxy(settings_at(simulator)) as proxy, proxy.client() as client:
        answer = client.post("/v1/chat/completions", json={"model": name, "messages": USER})

    assert answer.status_code >= 500
    assert "model_not_found" != answer.json()["error"]["code"]
    assert [] == [r for r in simulator.state.requests if r.path == "/chat/completions"]
