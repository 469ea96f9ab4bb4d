"""Continue's Ollama provider, with Ollama's model names and a URL without ``/v1``."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from copilot_proxy.clients.continue_cli import CONTINUE
from copilot_proxy.simulator import Simulator
from tests.agents.agents import ALL, NODE
from tests.conftest import Proxy, settings_at

pytestmark = pytest.mark.timeout(600)


def test_continue(tmp_path: Path) -> None:
    """Continue shows an answer, and runs a tool whose result reaches the model."""
    (agent,) = (one for one in ALL if one.client is CONTINUE)
    if not agent.program.exists():
        pytest.skip("Continue is not installed: make agents")
    (tmp_path / "found.txt").write_text("x")
    config = tmp_path / "config.yaml"
    with Simulator(pace=0) as simulator, Proxy(settings_at(simulator, ollama=True)) as proxy:
        model = {
            "name": "sonnet",
            "provider": "ollama",
            "model": "claude-sonnet:latest",
            "apiBase": proxy.url,
            "roles": ["chat"],
            "capabilities": ["tool_use"],
        }
        head = {"name": "mine", "version": "0.0.1", "schema": "v1"}
        config.write_text(json.dumps({**head, "models": [model]}))
        ran = subprocess.run(
            [*agent.command, "--config", str(config), "-p", 'Call Bash with "ls"'],
            env={"PATH": f"{NODE.parent}:{os.environ['PATH']}", "HOME": str(tmp_path)},
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=250,
            check=False,
        )

    assert 0 == ran.returncode, ran.stdout + ran.stderr
    assert "Bash answered" in ran.stdout
    assert "found.txt" in ran.stdout
    assert {200} == {record.status for record in proxy.records}
