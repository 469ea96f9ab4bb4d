"""The server as a separate process, and clients with empty homes and no network access."""

import json
import os
import re
import select
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

FOLDER = Path(__file__).parent
ROOT = FOLDER.parent.parent
MODULES = Path(os.environ.get("TEST_CLIENTS_MODULES") or FOLDER / "node_modules")
"""The folder where npm installs the clients; `make clients` installs them next to this file."""
KEY = "local-key-123456"


@dataclass
class Server:
    """A running ``copilot-proxy serve --simulate``."""

    url: str
    simulator: str
    seen: int = 0

    def switch(self, fault: str, *, on: bool) -> None:
        """Switch a fault of the simulator on or off."""
        method = "PUT" if on else "DELETE"
        url = f"{self.simulator}/_simulator/faults/{fault}"
        assert httpx.request(method, url, trust_env=False, timeout=60).is_success

    def requests(self) -> list[dict[str, Any]]:
        """Return the simulator's new requests, except those for model lists."""
        answer = httpx.get(
            f"{self.simulator}/_simulator/requests", trust_env=False, timeout=60
        ).json()
        new, self.seen = answer["requests"][self.seen :], len(answer["requests"])
        return [one for one in new if one["method"] == "POST"]


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with an API key, shared by all tests of the session."""
    home = tmp_path_factory.mktemp("server")
    log = (home / "log").open("w")
    process = subprocess.Popen(
        [sys.executable, "-m", "copilot_proxy", "serve", "--simulate", "--port", "0"],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "COPILOT_PROXY_HOME_DIR": str(home),
            "COPILOT_PROXY_API_KEY": KEY,
        },
        stdout=subprocess.DEVNULL,
        stderr=log,
    )
    try:
        yield _await_server(home / "log", process)
    finally:
        process.terminate()
        process.wait(60)
        log.close()


def _await_server(log: Path, process: subprocess.Popen[bytes]) -> Server:
    """Wait until the server has printed its addresses, and return them."""
    while process.poll() is None:
        text = log.read_text()
        if "Stop with Ctrl+C" in text:
            url = re.search(r"Base URL\s+(\S+)/v1", text)
            simulator = re.search(r"simulator is at (http://[\d.]+:\d+)", text)
            assert url
            assert simulator
            return Server(url[1], simulator[1])
        select.select([], [], [], 0.05)
    raise AssertionError(log.read_text())


@pytest.fixture
def server(running: Server) -> Server:
    """The server; requests from earlier tests are not counted."""
    running.requests()
    return running


@dataclass
class Home:
    """An empty home for a client, and its working folder."""

    path: Path
    work: Path
    node: str
    outside: int
    """The port of an HTTP proxy that is not running."""

    def run(self, script: str, *arguments: str, **environ: str) -> str:
        """Return the standard output of a client installed by npm."""
        nowhere = f"http://127.0.0.1:{self.outside}"
        names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
        ran = subprocess.run(
            [self.node, str(MODULES / script), *arguments],
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.path),
                **{name: nowhere for upper in names for name in (upper, upper.lower())},
                "NO_PROXY": "127.0.0.1",
                "no_proxy": "127.0.0.1",
                **environ,
            },
            cwd=self.work,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=250,
            check=False,
        )
        assert 0 == ran.returncode, ran.stdout + ran.stderr
        return ran.stdout


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A new home folder; at the end, check that the client contacted only the server."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node is not installed")
    for name in ("own", "work"):
        (tmp_path / name).mkdir()
    with socket.create_server(("127.0.0.1", 0)) as outside:
        yield Home(tmp_path / "own", tmp_path / "work", node, outside.getsockname()[1])
        if select.select([outside], [], [], 0)[0]:
            connection, _ = outside.accept()
            connection.settimeout(1)
            raise AssertionError(f"somebody else was asked: {connection.recv(200)!r}")


def needed(script: str) -> pytest.MarkDecorator:
    """Skip a client's tests if npm has not installed it."""
    return pytest.mark.skipif(
        not (MODULES / script).exists(), reason=f"no {script} in {MODULES}: make clients"
    )


def snippets(heading: str, language: str) -> list[str]:
    """Return the code blocks under a heading of docs/clients.md."""
    text = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8")
    section = text.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(rf"```{language}\n(.*?)```", section, re.S)


def json_lines(text: str) -> list[dict[str, Any]]:
    """Return the decoded objects, one per line."""
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]
