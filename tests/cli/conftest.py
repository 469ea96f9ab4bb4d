"""Fixtures that run commands in this process, on a pseudo-terminal, and as separate programs."""

import io
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pexpect
import pyte
import pytest

import copilot_proxy
from copilot_proxy.auth import device_flow, verification
from copilot_proxy.cli.main import run
from copilot_proxy.simulator.server import Simulator
from tests.auth.conftest import memory_keyring, own_home

__all__ = ["memory_keyring", "own_home"]


@dataclass
class Ran:
    """The result of a command."""

    code: int
    out: str
    err: str


Cli = Callable[..., Ran]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Return a function that runs a command line in this process, without a terminal."""

    def call(*arguments: str, stdin: str = "", terminal: bool = False) -> Ran:
        given = io.StringIO(stdin)
        given.isatty = lambda: terminal  # type: ignore[method-assign]
        monkeypatch.setattr(sys, "stdin", given)
        code = run(arguments)
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return call


@pytest.fixture
def simulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """A simulator of GitHub that the settings point to, without pauses between polls."""
    monkeypatch.setattr(device_flow, "_MARGIN", 0.0)
    monkeypatch.setattr(verification, "_RETRY_DELAYS", (0.0, 0.0, 0.0))
    with Simulator(catalogue="2026-03", pace=0, device_flow=["pending", "ok"]) as running:
        running.state.interval = 0.01  # type: ignore[assignment]  # GitHub's are whole seconds
        monkeypatch.setenv("COPILOT_PROXY_GITHUB_URL", running.url)
        monkeypatch.setenv("COPILOT_PROXY_GITHUB_API_URL", running.url)
        yield running


@pytest.fixture
def program() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs a command line as a separate program."""

    def call(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "copilot_proxy", *arguments],
            input=stdin,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return call


class Terminal:
    """A program in a pseudo-terminal with 100 columns."""

    def __init__(self, *arguments: str, **environ: str) -> None:
        self._screen = pyte.Screen(100, 40)
        self._stream = pyte.Stream(self._screen)
        self.raw = ""
        self.child = pexpect.spawn(
            sys.executable,
            ["-m", "copilot_proxy", *arguments],
            env={**environment(), "TERM": "xterm-256color", **environ},
            dimensions=(40, 100),
            encoding="utf-8",
            timeout=60,
        )

    def expect(self, text: str) -> str:
        """Wait until `text` appears, and return the screen.

        Where lines wrap depends on the length of temporary paths.
        """
        self.child.expect(r"\s+".join(re.escape(text).split(r"\ ")))
        self._show(self.child.before + self.child.after)
        return self.screen

    def end(self) -> int:
        """Wait until the program ends, and return its exit code."""
        self.child.expect(pexpect.EOF)
        self._show(self.child.before)
        self.child.close()
        return self.child.exitstatus if self.child.exitstatus is not None else -1

    def type(self, text: str) -> None:
        """Type a line."""
        self.child.sendline(text)

    def interrupt(self) -> None:
        """Press Ctrl+C."""
        self.child.sendintr()

    @property
    def screen(self) -> str:
        """The text on the screen."""
        return "\n".join(line.rstrip() for line in self._screen.display).rstrip()

    def _show(self, written: str) -> None:
        self.raw += written
        self._stream.feed(written)


@pytest.fixture
def terminal() -> Iterator[Callable[..., Terminal]]:
    """Return a function that starts programs on pseudo-terminals, closed at the end of the test."""
    started: list[Terminal] = []

    def start(*arguments: str, **environ: str) -> Terminal:
        started.append(Terminal(*arguments, **environ))
        return started[-1]

    yield start
    for one in started:
        one.child.close(force=True)


def environment() -> dict[str, str]:
    """Return an environment in which this package is importable and there is no keyring."""
    package = Path(copilot_proxy.__file__).parent.parent
    return {
        **os.environ,
        "PYTHONPATH": str(package),
        "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
        "PYTHONWARNINGS": "error::ResourceWarning",
    }
