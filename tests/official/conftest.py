"""The simulator as a separate process, and official Copilot clients that use it."""

import os
import platform
import re
import select
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.official.outside import Outside

FOLDER = Path(__file__).parent
ROOT = FOLDER.parent.parent
MODULES = Path(os.environ.get("TEST_OFFICIAL_MODULES") or FOLDER / "node_modules")
"""The folder where npm installs the clients; `make clients` installs them next to this file."""
CPU = {"x86_64": "x64", "AMD64": "x64", "aarch64": "arm64"}.get(
    platform.machine(), platform.machine()
)
PLATFORM = f"{sys.platform}-{CPU}"
"""The name of this platform in npm packages, such as linux-x64."""
ENDPOINTS = ("/chat/completions", "/responses", "/v1/messages", "/auto", "/models/session")


def needed(program: Path) -> pytest.MarkDecorator:
    """Skip a client's tests if npm has not installed the client."""
    return pytest.mark.skipif(not program.exists(), reason=f"no {program}: make clients")


@dataclass
class Copilot:
    """A running ``copilot-proxy simulate``."""

    url: str
    seen: int = field(default=0)

    def requests(self) -> list[dict[str, Any]]:
        """Return the new requests since the last call, oldest first."""
        answer: Any = httpx.get(
            f"{self.url}/_simulator/requests", trust_env=False, timeout=60
        ).json()
        new: list[dict[str, Any]] = answer["requests"][self.seen :]
        self.seen = len(answer["requests"])
        return new

    def calls(self) -> list[tuple[str, str, int, str]]:
        """Return the new requests to models as (method, path, status, initiator)."""
        return [
            (one["method"], one["path"], one["status"], one["initiator"])
            for one in self.requests()
            if one["path"] in ENDPOINTS
        ]


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copilot]:
    """The simulator, shared by all tests of the session."""
    home = tmp_path_factory.mktemp("simulator")
    log = (home / "log").open("w")
    process = subprocess.Popen(
        [sys.executable, "-m", "copilot_proxy", "simulate", "--port", "0", "--pace", "0"],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(home)},
        stdout=subprocess.DEVNULL,
        stderr=log,
    )
    try:
        yield Copilot(
            await_line(home / "log", process, r"simulator .* is at (http://[\d.]+:\d+)\.")
        )
    finally:
        process.terminate()
        process.wait(60)
        log.close()


def await_line(log: Path, process: subprocess.Popen[bytes], pattern: str) -> str:
    """Return the first group of a pattern once it matches a program's log."""
    while process.poll() is None:
        if found := re.search(pattern, log.read_text()):
            return found[1]
        select.select([], [], [], 0.05)
    raise AssertionError(log.read_text())


@pytest.fixture
def copilot(running: Copilot) -> Copilot:
    """The simulator; requests from earlier tests are not counted."""
    running.requests()
    return running


@dataclass
class Home:
    """A client's home, initially empty, its working folder, and its simulated internet."""

    path: Path
    work: Path
    outside: Outside

    def environ(self, **more: str) -> dict[str, str]:
        """Return an environment in which only the simulator can be reached."""
        names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.path),
            **{name: self.outside.url for upper in names for name in (upper, upper.lower())},
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
            "NODE_EXTRA_CA_CERTS": str(self.outside.authority),
            **more,
        }


@pytest.fixture(scope="module")
def home(running: Copilot, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A new home folder, shared by a client's tests: filling it takes longer than one prompt."""
    path = tmp_path_factory.mktemp("official")
    for name in ("own", "work"):
        (path / name).mkdir()
    with Outside(running.url, path) as outside:
        yield Home(path / "own", path / "work", outside)
