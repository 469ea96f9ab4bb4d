"""Runs agents offline, with ``run`` or after ``connect``, on a server with a simulator."""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
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
    """The result of an agent run."""

    code: int
    shown: str
    """Everything that the agent printed to stdout and stderr."""
    records: list[RequestRecord]
    """The model requests that the agent made."""


PROJECT = "My Café 100%"
"""The name of the folder that agents run in."""


class Runner:
    """Runs agents against one server."""

    def __init__(self, simulator: Simulator, proxy: Proxy, folder: Path) -> None:
        self.simulator = simulator
        self.home = folder / "user"
        self.url = proxy.url
        self._proxy = proxy
        self._programs, self._work = folder / "bin", folder / PROJECT
        self._is_refused = False

    def set_budget(self, limit: str) -> None:
        """Set a cost limit, as the user would."""
        command = [sys.executable, "-m", "copilot_proxy", "budget", "set", limit]
        subprocess.run(command, env=environment(), capture_output=True, timeout=60, check=True)

    def run(self, agent: Agent, prompt: str, model: str = "claude-sonnet") -> Ran:
        """Start `agent` with ``run`` and `prompt`, and wait for it to end."""
        self._prepare(agent)
        words = prompt.split() if agent.is_split else [prompt]
        own = (sys.executable, "-m", "copilot_proxy", "run", agent.client.word, "--model", model)
        return self._call(*own, "--", *agent.arguments, *words)

    def run_connected(self, agent: Agent, prompt: str) -> Ran:
        """Configure `agent` with ``connect``, start it directly, and wait for it to end.

        The agent's files are symbolic links, as if the user kept them in a repository.
        """
        self._prepare(agent, linked=True)
        model = ("--model", "claude-sonnet", "--yes", "--no-probe")
        connected = self.connect(agent, *model)
        assert 0 == connected.code, connected.shown
        # Checked before the agent runs, since Cline replaces a link with a file.
        assert all((self.home / name).is_symlink() for name in agent.own_files)
        # Copilot CLI only reads variables, which are printed for the shell.
        exports = re.findall(r"^export (\w+)=(.*)$", connected.shown, re.M)
        variables = {name: shlex.split(value)[0] for name, value in exports}
        arguments = [
            argument.replace("~", str(self.home)) for argument in agent.connected or agent.arguments
        ]
        words = prompt.split() if agent.is_split else [prompt]
        return self._call(
            *(agent.client.programs[0], *arguments, *words),
            # `run` sets this for the agent; users with a proxy have set it themselves.
            **dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,localhost"),
            **agent.environ,
            **variables,
        )

    def start(self, agent: Agent, command: Sequence[str], environ: Mapping[str, str]) -> Ran:
        """Run a command that starts `agent`, with `environ`, and wait for it to end."""
        self._prepare(agent)
        return self._call(*command, **environ)

    def connect(self, agent: Agent, *arguments: str) -> Ran:
        """Call ``connect`` for the agent."""
        return self._call(
            *(sys.executable, "-m", "copilot_proxy", "connect", agent.client.word), *arguments
        )

    def _prepare(self, agent: Agent, *, linked: bool = False) -> None:
        if not agent.program.exists():
            pytest.skip(f"{agent.client.title} is not installed: make clients")
        self._is_refused = agent.is_slow
        for folder in (self.home, self._programs, self._work):
            folder.mkdir()
        (self._work / "found.txt").write_text("x")
        for number, (name, content) in enumerate(agent.own_files.items()):
            path = self.home / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if linked:
                (self.home / f"dotfile-{number}").write_text(content)
                path.symlink_to(self.home / f"dotfile-{number}")
            else:
                path.write_text(content)
        program = self._programs / agent.client.programs[0]
        program.write_text(f'#!/bin/sh\nexec {shlex.join(agent.command)} "$@"\n')
        program.chmod(0o755)

    def _call(self, *command: str, **variables: str) -> Ran:
        with socket.create_server(("127.0.0.1", 0)) as outside:
            nowhere = f"http://127.0.0.1:{outside.getsockname()[1]}"
            if self._is_refused:
                outside.close()
            ran = subprocess.run(
                command,
                env={
                    **environment(),
                    "PATH": f"{self._programs}:{NODE.parent}:{os.environ['PATH']}",
                    "HOME": str(self.home),
                    "HTTP_PROXY": nowhere,
                    "HTTPS_PROXY": nowhere,
                    "COPILOT_PROXY_PORT": self.url.rpartition(":")[2],
                    **variables,
                },
                cwd=self._work,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=250,
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
        end_daemons(tmp_path)


def end_daemons(folder: Path) -> None:
    """End processes that agents, such as Cline, left running in `folder`."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (process / "cwd").resolve().is_relative_to(folder):
                os.kill(int(process.name), signal.SIGTERM)
