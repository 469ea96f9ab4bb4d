"""Coding agents that use the Responses API over a WebSocket, if configured to."""

import dataclasses

import pytest

from tests.agents.agents import ALL, Agent
from tests.agents.conftest import Ran, Runner

CODEX, COPILOT_CLI = (
    next(one for one in ALL if one.client.name == name) for name in ("codex", "copilot-cli")
)

pytestmark = pytest.mark.timeout(600)


def check(ran: Ran, agent: Agent) -> None:
    """Fail unless the model called a tool and every request was answered."""
    assert 0 == ran.code, ran.shown
    assert f"{agent.tool} answered" in ran.shown
    assert "found.txt" in ran.shown
    assert [(200, "user"), (200, "agent")] == [(r.status, r.initiator) for r in ran.records]


def test_codex(runner: Runner) -> None:
    """Codex warms up, and then sends only new input."""
    setting = "model_providers.copilot-proxy.supports_websockets=true"
    agent = dataclasses.replace(CODEX, arguments=["-c", setting, *CODEX.arguments])
    ran = runner.run(agent, 'Call exec_command with "ls"')

    check(ran, agent)
    first, second = ran.records
    assert second.body_bytes < first.body_bytes < second.conversation_bytes


def test_copilot_cli(runner: Runner) -> None:
    """After its first request, Copilot CLI sends only new input."""
    words = [*COPILOT_CLI.command, *COPILOT_CLI.arguments, 'Call bash with "ls"']
    environ = {
        "COPILOT_OFFLINE": "true",
        "COPILOT_MODEL": "gpt-6.1-sol",
        "COPILOT_PROVIDER_API_KEY": "x",
        "COPILOT_PROVIDER_BASE_URL": f"{runner.url}/v1",
        "COPILOT_PROVIDER_TYPE": "openai",
        "COPILOT_PROVIDER_WIRE_API": "responses",
        "COPILOT_PROVIDER_TRANSPORT": "websockets",
        "NO_PROXY": "127.0.0.1",
    }
    ran = runner.start(COPILOT_CLI, words, environ)

    check(ran, COPILOT_CLI)
    first, second = ran.records
    assert second.body_bytes < first.body_bytes < second.conversation_bytes
