"""Runs agents with ``copilot-proxy run``, without network access, on a server with a simulator."""

import os
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from copilot_proxy.relay.records import RequestRecord
from copilot_proxy.simulator import Simulator
from tests.agents.agents import NODE, Agent
from tests.cli.conftest import environment
from tests.conftest import Proxy, settings_at

# An agent takes seconds to start, so these tests only run with `make agents`.
collect_ignore_glob = [] if os.environ.get("AGENTS") else ["test_*.py"]


@dataclass(frozen=True)
class Ran:
    """How an agent ended."""

    code: int
    shown: str
    """All that it printed, to both streams."""
    records: list[RequestRecord]
    """The requests that it made of a model."""


class Runner:
    """Runs agents against one server."""

    def __init__(self, simulator: Simulator, proxy: Proxy, folder: Path) -> None:
        self.simulator = simulator
        self.home = folder / "user"
        self.url = proxy.url
        self._proxy = proxy
        self._folder = folder

    def set_budget(self, limit: str) -> None:
        """Limit what requests may cost, as the user would."""
        command = [sys.executable, "-m", "copilot_proxy", "budget", "set", limit]
        subprocess.run(command, env=environment(), capture_output=True, timeout=60, check=True)

    def run(self, agent: Agent, prompt: str, model: str = "claude-sonnet") -> Ran:
        """Run `agent` with `prompt`, and wait for it to end."""
        programs = self._folder / "bin"
        programs.mkdir()
        program = programs / agent.client.word
        program.write_text(f'#!/bin/sh\nexec {shlex.join(agent.command)} "$@"\n')
        program.chmod(0o755)
        words = prompt.split() if agent.is_split else [prompt]
        command = (sys.executable, "-m", "copilot_proxy", "run", agent.client.word)
        return self.start(
            agent,
            [*command, "--model", model, "--", *agent.arguments, *words],
            {"PATH": f"{programs}:{NODE.parent}:{os.environ['PATH']}"},
        )

    def start(self, agent: Agent, command: Sequence[str], environ: Mapping[str, str]) -> Ran:
        """Run a command that starts `agent`, with `environ`, and wait for it to end."""
        if not agent.program.exists():
            pytest.skip(f"{agent.client.title} is not installed: make clients")
        work = self._folder / "work"
        for folder in (self.home, work):
            folder.mkdir()
        (work / "found.txt").write_text("x")
        for name, content in agent.own_files.items():
            (self.home / name).parent.mkdir(parents=True, exist_ok=True)
            (self.home / name).write_text(content)
        with socket.create_server(("127.0.0.1", 0)) as outside:
            nowhere = f"http://127.0.0.1:{outside.getsockname()[1]}"
            ran = subprocess.run(
                command,
                env={
                    **environment(),
                    "HOME": str(self.home),
                    "HTTP_PROXY": nowhere,
                    "HTTPS_PROXY": nowhere,
                    "COPILOT_PROXY_PORT": self.url.rpartition(":")[2],
                    **environ,
                },
                cwd=work,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=100,
                check=False,
            )
        return Ran(ran.returncode, ran.stdout + ran.stderr, list(self._proxy.records))


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runner]:
    """A runner with a new home and a new server, signed in to a simulator."""
    for name in [name for name in os.environ if name.upper().endswith("_PROXY")]:
        monkeypatch.delenv(name)
    with (
        Simulator(pace=0) as simulator,
        Proxy(settings_at(simulator, ledger=True)) as proxy,
    ):
        yield Runner(simulator, proxy, tmp_path)
