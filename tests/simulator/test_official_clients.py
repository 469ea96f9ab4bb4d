"""What official clients other than VS Code need: endpoints, integrations, tokens and limits."""

import time

import pytest

from copilot_proxy.simulator import SIMULATED_TOKEN
from copilot_proxy.simulator.state import FOREIGN_TOKEN, OTHER_CLIENTS, SIMULATED_PAT

pytestmark = pytest.mark.parametrize("simulator", ["2026-11"], indirect=True)

MODERN = "gpt-6.1-terra"
"""The default chat model of November 2026."""


@pytest.mark.parametrize("name", ["vscode-chat", "jetbrains-chat", "copilot-developer-cli"])
def test_integrations_of_official_clients(copilot, name):
    """All integrations are served the same way."""
    assert 200 == copilot.get("/models", copilot_integration_id=name).status_code
    assert 403 == copilot.get("/models", copilot_integration_id="mine").status_code


def test_an_organization_may_deny_an_integration(simulator, copilot):
    """A denied client receives a 403, and other clients are served."""
    simulator.state.integrations = {"vscode-chat"}
    assert 403 == copilot.get("/models", copilot_integration_id="jetbrains-chat").status_code
    assert 200 == copilot.get("/models").status_code


def test_the_exchange_says_that_chat_is_enabled(copilot):
    """The language server needs `chat_enabled`; the token names the newer features."""
    body = copilot.exchange().json()
    assert body["chat_enabled"] is True
    for field in ("client_byok", "agent_mode", "agent_mode_auto_approval"):
        assert f";{field}=1;" in body["token"]


def test_tokens_of_the_cli_are_used_directly(simulator, copilot):
    """Tokens from the CLI's app are used directly, since the exchange refuses them."""
    token = simulator.state.issue_oauth_token("Ov23ctDVkRmgkPke0Mmm")
    assert "Ov23ctDVkRmgkPke0Mmm" in OTHER_CLIENTS
    for one in (token, FOREIGN_TOKEN):
        assert one.startswith("gho_")
        headers = {
            "authorization": f"Bearer {one}",
            "copilot-integration-id": "copilot-developer-cli",
        }
        assert 200 == copilot.http.get("/models", headers=headers).status_code
        assert 404 == copilot.exchange(one).status_code


def test_fine_grained_tokens_are_for_the_cli(copilot):
    """A personal access token is accepted with the CLI's integration, but not with VS Code's."""
    asked = {"authorization": f"Bearer {SIMULATED_PAT}"}
    assert (
        200
        == copilot.get(
            "/models", **asked, copilot_integration_id="copilot-developer-cli"
        ).status_code
    )
    answer = copilot.get("/models", **asked)
    assert (400, True) == (answer.status_code, "Personal Access Tokens" in answer.text)


@pytest.mark.parametrize("path", ["managed_settings", "team_customizations"])
def test_settings_of_an_organization(copilot, path):
    """The organization has no settings; the endpoint requires a valid token."""
    where = f"/copilot_internal/{path}"
    answer = copilot.http.get(where, headers={"authorization": f"token {SIMULATED_TOKEN}"})
    assert (200, {}) == (answer.status_code, answer.json())
    assert 401 == copilot.http.get(where, headers={"authorization": "token x"}).status_code


def test_auto(copilot):
    """The answer has the chosen model's full entry, and a token that is valid for a day."""
    body = copilot.post("/auto", {"prompt": "Hi", "has_image": True, "multi_turn": {}}).json()
    assert MODERN == body["selected_model"]["id"]
    assert "capabilities" in body["selected_model"]
    assert {MODERN: 0.1} == body["discounted_costs"]
    assert 23 * 3600 < body["expires_at"] - time.time() <= 24 * 3600
    assert 400 == copilot.post("/auto", {"has_image": True}).status_code


def test_auto_can_be_missing(simulator, copilot):
    """Older API versions lack the Auto model; faults make it gated or unavailable."""
    asked = {"prompt": "Hi"}
    older = copilot.post("/auto", asked, x_github_api_version="2026-06-01")
    assert (404, "invalid apiVersion\n") == (older.status_code, older.text)
    for fault, status in (("auto_404", 404), ("auto_503", 503)):
        simulator.state.faults.on(fault, times=1)
        assert status == copilot.post("/auto", asked).status_code


def test_a_session(copilot):
    """Older clients receive the chosen model's id, the alternatives, and their discount."""
    body = copilot.post("/models/session", {"auto_mode": {"model_hints": ["auto"]}}).json()
    assert MODERN == body["selected_model"]
    assert "gemini-4-neon" not in body["available_models"]
    assert 0.1 == body["discounted_costs"]["claude-sonnet-5.5"]
    assert 400 == copilot.post("/models/session", {}).status_code


def test_the_memory_is_off(copilot):
    """Copilot's memory feature, which the CLI checks before its first model call, is off."""
    answer = copilot.get("/agents/swe/internal/memory/v0/enabled")
    assert (200, {"enabled": False}) == (answer.status_code, answer.json())


def test_the_mcp_server_has_no_tools(copilot):
    """The server answers the handshake and lists no tools; notifications get no answer."""

    def call(method, **more):
        return copilot.post("/mcp/readonly", {"jsonrpc": "2.0", "method": method, **more})

    assert {"tools": {}} == call("initialize", id=1).json()["result"]["capabilities"]
    assert 202 == call("notifications/initialized").status_code
    assert {"tools": []} == call("tools/list", id=2).json()["result"]
    assert -32601 == call("tools/call", id=3).json()["error"]["code"]
    assert 400 == copilot.post("/mcp/readonly", []).status_code


@pytest.mark.parametrize(
    "code",
    ["additional_spend_limit_reached", "custom_billing_not_configured", "session_quota_exceeded"],
)
def test_newer_quotas(simulator, copilot, code):
    """Each error code for a used-up quota is also the name of a fault with status 402."""
    simulator.state.faults.on(code)
    answer = copilot.responses(model=MODERN)
    assert (402, code) == (answer.status_code, answer.json()["error"]["code"])


def test_the_session_limit(simulator, copilot):
    """The wait is in the text, not in a header."""
    simulator.state.faults.on("session_limit")
    answer = copilot.responses(model=MODERN)
    error = answer.json()["error"]
    assert (429, "user_global_rate_limited:pro") == (answer.status_code, error["code"])
    assert "Please retry after 840 seconds" in error["message"]
    assert "retry-after" not in answer.headers
    simulator.state.faults.on("session_limit", value=60)
    assert "after 60 seconds" in copilot.responses(model=MODERN).text


def test_headers_of_quotas_in_credits(simulator, copilot):
    """Accounts billed in credits have the newer fields."""
    simulator.state.plan = "pro_credits"
    header = copilot.get("/models").headers["x-quota-snapshot-premium_interactions"]
    assert all(f"{name}=" in header for name in ("tbb", "ovEnt", "totRem"))
