"""Tokens that cannot be exchanged, with both upstreams."""

from pathlib import Path

import pytest

from copilot_proxy.simulator import Simulator
from copilot_proxy.simulator.state import FOREIGN_TOKEN, SIMULATED_PAT
from tests.conftest import Proxy, clear_environment, settings_at
from tests.pi_ai.conftest import give_pi_ai, needs_pi_ai

ASKED = {"model": "default", "messages": [{"role": "user", "content": "Hi"}]}


@pytest.mark.parametrize("upstream", ["copilot", pytest.param("pi-ai", marks=needs_pi_ai)])
@pytest.mark.parametrize("token", [FOREIGN_TOKEN, SIMULATED_PAT])
def test_a_token_that_cannot_be_exchanged_is_used_itself(
    upstream: str, token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token is sent as Copilot CLI sends it, and the model answers."""
    clear_environment(monkeypatch, give_pi_ai(tmp_path / "home"))
    with Simulator(pace=0) as simulator:
        settings = settings_at(simulator, upstream=upstream, github_token=token)
        with Proxy(settings) as proxy, proxy.client() as client:
            answer = client.post("/v1/chat/completions", json=ASKED)
        sent = simulator.state.requests[-1].headers
    assert 200 == answer.status_code, answer.text
    assert f"Bearer {token}" == sent["authorization"]
    assert "copilot-developer-cli" == sent["copilot-integration-id"]
    assert "editor-version" not in sent


def test_a_personal_access_token_without_the_permission(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If Copilot refuses the token, the error names the permission, and clients do not retry."""
    clear_environment(monkeypatch, tmp_path / "home")
    token = "github_pat_11Without0000000000"
    with Simulator(pace=0) as simulator:
        simulator.state._oauth[token] = False
        settings = settings_at(simulator, github_token=token)
        with Proxy(settings) as proxy, proxy.client() as client:
            answer = client.post("/v1/chat/completions", json=ASKED)
    error = answer.json()["error"]
    assert (401, "personal_access_token") == (answer.status_code, error["code"])
    assert '"Copilot Requests"' in error["hint"]
    assert token not in answer.text
