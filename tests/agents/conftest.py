"""Runs an agent in an empty home, without network access, against a server with a simulator."""

import os
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from copilot_proxy.relay.records import RequestRecord
from copilot_proxy.simulator import Simulator
from tests.agents.records import NODE, Agent
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
        self._proxy = proxy
        self._folder = folder

    def run(self, agent: Agent, prompt: str, model: str = "claude-sonnet-5.5") -> Ran:
        """Run `agent` with `prompt`, and wait for it to end."""
        if not agent.program.exists():
            pytest.skip(f"{agent.name} is not installed: make clients")
        home, work = self._folder / "home", self._folder / "work"
        home.mkdir()
        work.mkdir()
        (work / "found.txt").write_text("x")
        setup = agent.setup(self._proxy.url, model, home)
        for name, content in setup.files.items():
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            (home / name).write_text(content)
        with socket.create_server(("127.0.0.1", 0)) as outside:
            nowhere = f"http://127.0.0.1:{outside.getsockname()[1]}"
            ran = subprocess.run(
                [
                    *agent.command,
                    *setup.arguments,
                    *(prompt.split() if agent.is_split else [prompt]),
                ],
                env={
                    "PATH": f"{NODE.parent}:{os.environ['PATH']}",
                    "HOME": str(home),
                    "HTTP_PROXY": nowhere,
                    "HTTPS_PROXY": nowhere,
                    "NO_PROXY": "127.0.0.1",
                    "no_proxy": "127.0.0.1",
                    **setup.environ,
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
    with Simulator(pace=0) as simulator, Proxy(settings_at(simulator)) as proxy:
        yield Runner(simulator, proxy, tmp_path)
