"""Coding agents receive answers through the server, use tools, and stop immediately on refusals."""

import pytest

from copilot_proxy.clients.aider import AIDER
from tests.agents.agents import ALL, IS_COMPLETE, Agent
from tests.agents.conftest import PROJECT, Runner

BUDGET = "0/day"
EACH = pytest.mark.parametrize("agent", ALL, ids=lambda agent: agent.client.name)
EACH_QUICK = pytest.mark.parametrize(
    "agent", [one for one in ALL if not one.is_slow], ids=lambda agent: agent.client.name
)
REFUSALS = {
    "quota_exceeded": "quota is used up",
    "billing_not_configured": "No billing is set up",
    "model_not_supported": "model is not supported",
    BUDGET: "does not fit within today's budget of 0 AI credits",
}
"""Faults for which every request is refused, by Copilot or our limit, and what the agent says."""
TRIED = REFUSALS if IS_COMPLETE else ["quota_exceeded", BUDGET]

pytestmark = pytest.mark.timeout(600)


@EACH
def test_a_question(runner: Runner, agent: Agent) -> None:
    """The agent shows the model's answer, and none of its requests is refused.

    The agent's requests are in the ledger under its name and that of the folder, and its own files
    are unchanged.
    """
    ran = runner.run(agent, "Say hello to me")

    assert 0 == ran.code, ran.shown
    assert "playing claude-sonnet-5.5" in ran.shown
    assert ran.records
    assert [200] * len(ran.records) == [record.status for record in ran.records]
    assert {(agent.client.name, PROJECT)} == {
        (record.attribution.client, record.attribution.project) for record in ran.records
    }
    assert f"This session: {len(ran.records)} request" in ran.shown
    assert agent.own_files == {
        name: (runner.home / name).read_text(encoding="utf-8") for name in agent.own_files
    }


@pytest.mark.skipif(not IS_COMPLETE, reason="test_connected uses a tool as well: AGENTS=all")
@EACH_QUICK
def test_a_tool(runner: Runner, agent: Agent) -> None:
    """The model calls one of the agent's tools, and gets the result."""
    if not agent.tool:
        pytest.skip("it has no tools by default")
    ran = runner.run(agent, f'Call {agent.tool} with "{agent.argument}"')

    assert 0 == ran.code, ran.shown
    assert f"{agent.tool} answered" in ran.shown
    assert "found.txt" in ran.shown


@EACH
def test_connected(runner: Runner, agent: Agent) -> None:
    """After ``connect``, the agent answers and uses a tool, and the ledger has its name.

    After ``--undo``, its files are restored.
    """
    if agent.client is AIDER:
        pytest.skip("connect only prints what to add to a YAML file that exists")
    prompt = f'Call {agent.tool} with "{agent.argument}"' if agent.tool else "Say hello to me"
    ran = runner.run_connected(agent, prompt)

    assert 0 == ran.code, ran.shown
    assert (f"{agent.tool} answered" if agent.tool else "playing claude-sonnet-5.5") in ran.shown
    assert agent.tool == "" or "found.txt" in ran.shown
    assert {200} == {record.status for record in ran.records}
    assert {agent.client.name} == {record.attribution.client for record in ran.records}
    undone = runner.connect(agent, "--undo", "--yes")
    assert 0 == undone.code, undone.shown
    assert agent.own_files == {
        name: (runner.home / name).read_text(encoding="utf-8") for name in agent.own_files
    }
    # Agents may leave files of their own, but nothing of ours is left.
    left = [path for path in runner.home.rglob("*copilot-proxy*") if path.is_file()]
    assert [] == [path.name for path in left if path.suffix in (".toml", ".json", ".yaml", ".ts")]


@pytest.mark.parametrize("fault", TRIED)
@EACH_QUICK
def test_a_refusal(runner: Runner, agent: Agent, fault: str) -> None:
    """The agent stops immediately after a permanent refusal, and shows the refusal's message."""
    if fault == BUDGET:
        runner.set_budget(BUDGET)
    else:
        runner.simulator.state.faults.on(fault)
    ran = runner.run(agent, "Say hello to me")

    shown = " ".join(ran.shown.split())
    requests = 2 if fault == "model_not_supported" else agent.requests
    assert 1 <= len(ran.records) <= requests, [
        (record.status, record.error) for record in ran.records
    ]
    sentences = [REFUSALS[fault]]
    if fault == "model_not_supported" and agent.unknown_model:
        sentences.append(agent.unknown_model)
    assert any(sentence in shown for sentence in sentences), shown[-1000:]
