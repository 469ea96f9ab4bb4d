"""A machine without problems, until a test plants a fault."""

import json
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import keyring
import pytest
from keyring.backends import fail

import copilot_proxy
from copilot_proxy.simulator import SIMULATED_TOKEN, Simulator
from tests.auth.keyrings import MemoryKeyring
from tests.ports import free_port

SCRIPT = f"#!{sys.executable}\nfrom copilot_proxy.__main__ import main\nmain()\n"


class Machine:
    """The user's home folder, environment, programs and account; runs inside a `with` block."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, simulator: Simulator) -> None:
        self.simulator = simulator
        self.patch = monkeypatch
        self.stack = ExitStack()
        self.user = folder / "user"
        """The home folder."""
        self.home = self.user / "copilot-proxy"
        """The program's own folder."""
        self.bin = folder / "bin"
        self.bin.mkdir(parents=True)
        self.home.mkdir(parents=True, mode=0o700)
        self.port = free_port()
        self.expected: list[str] = []
        """Texts that the doctor must print in addition to the remedy."""
        self._prepare()

    def __enter__(self) -> "Machine":
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()
        keyring.set_keyring(fail.Keyring())

    def _prepare(self) -> None:
        keyring.set_keyring(MemoryKeyring())
        (self.home / "credentials.json").write_text(
            json.dumps({"token": SIMULATED_TOKEN, "login": "mona"})
        )
        (self.home / "credentials.json").chmod(0o600)
        self.patch.setattr(sys, "argv", [str(self.program("copilot-proxy", SCRIPT))])
        for name in [name for name in os.environ if name.startswith("XDG_")]:
            self.patch.delenv(name)
        for name, value in {
            "HOME": str(self.user),
            "PATH": str(self.bin),
            "COPILOT_PROXY_HOME_DIR": str(self.home),
            "COPILOT_PROXY_PORT": str(self.port),
            "COPILOT_PROXY_GITHUB_URL": self.simulator.url,
            "COPILOT_PROXY_GITHUB_API_URL": self.simulator.url,
        }.items():
            self.patch.setenv(name, value)

    def sign_out(self) -> None:
        """Remove the token."""
        (self.home / "credentials.json").unlink()

    def set(self, **settings: str) -> None:
        """Set environment variables for settings."""
        for name, value in settings.items():
            self.patch.setenv(f"COPILOT_PROXY_{name.upper()}", value)

    def export(self, **variables: str) -> None:
        """Set other environment variables."""
        for name, value in variables.items():
            self.patch.setenv(name, value)

    def config(self, text: str, mode: int = 0o600) -> Path:
        """Write ``config.toml``."""
        path = self.home / "config.toml"
        path.write_text(text)
        path.chmod(mode)
        return path

    def file(self, name: str, content: str | dict[str, Any]) -> Path:
        """Write a file that belongs to another program, relative to the home folder."""
        path = self.user / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content, indent=2))
        return path

    def program(self, name: str, script: str, folder: Path | None = None) -> Path:
        """Write a program into a folder on the PATH."""
        path = (folder or self.bin) / name
        path.write_text(script)
        path.chmod(0o755)
        return path

    def client(self, name: str, version: str) -> Path:
        """Install a client that reports its version."""
        return self.program(name, f"#!/bin/sh\necho '{name} {version}'\n")


def environment() -> dict[str, str]:
    """Return the environment for running the program in a separate process."""
    return {**os.environ, "PYTHONPATH": str(Path(copilot_proxy.__file__).parent.parent)}
