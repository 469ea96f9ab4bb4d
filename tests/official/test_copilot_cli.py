"""GitHub Copilot CLI works with the simulator in place of Copilot."""

import base64
import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from copilot_proxy.ledger.copilot_cli import FILE_NAME, import_events
from copilot_proxy.ledger.database import open_for_writing
from copilot_proxy.ledger.verification import verify
from copilot_proxy.simulator.state import FOREIGN_TOKEN
from tests.official.conftest import FOLDER, MODULES, PLATFORM, Copilot, Home, needed
from tests.pictures import PNG
from tests.selection import first, only_in_ci

PROGRAM = MODULES / "@github" / f"copilot-{PLATFORM}" / "copilot"
COMMAND = 'Call the bash tool with "echo tool-$((40+2))"'
SOCKET = [("GET", "/responses", 101, "user")]
"""The upgrade to a WebSocket, before its messages."""
ENDPOINTS = {
    "claude-opus-5.5": ("POST", "/v1/messages"),
    "gpt-6.1-sol": ("WEBSOCKET", "/responses"),
    "gemini-4-carbon": ("POST", "/chat/completions"),
    "kimi-k3": ("POST", "/chat/completions"),
    "mai-code-2-flash": ("POST", "/responses"),
    "grok-4.7": ("POST", "/responses"),
}

pytestmark = needed(PROGRAM)


def ask(home: Home, copilot: Copilot, model: str, prompt: str, *options: str) -> str:
    """Return the CLI's answer to a prompt."""
    fixed = ("--silent", "--allow-all-tools", "--disable-client-telemetry", "--no-auto-update")
    ran = subprocess.run(
        [str(PROGRAM), "-p", prompt, "--model", model, *fixed, *options],
        env=home.environ(
            COPILOT_API_URL=copilot.url,
            COPILOT_DEBUG_GITHUB_API_URL=copilot.url,
            COPILOT_GITHUB_TOKEN=FOREIGN_TOKEN,
        ),
        cwd=home.work,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert 0 == ran.returncode, ran.stdout + ran.stderr
    assert [] == home.outside.refused
    return ran.stdout


@pytest.mark.parametrize("model", first(ENDPOINTS))
def test_command(home: Home, copilot: Copilot, model: str) -> None:
    """A model of each vendor runs a command and answers with its output; nothing is refused."""
    answer = ask(home, copilot, model, COMMAND)

    assert f"playing {model}. bash answered: tool-42" in answer
    method, path = ENDPOINTS[model]
    turns = [(method, path, 200, "user"), (method, path, 200, "agent")]
    assert (SOCKET if method == "WEBSOCKET" else []) + turns == copilot.calls()


@only_in_ci
def test_auto(home: Home, copilot: Copilot) -> None:
    """Copilot chooses the model, and that model answers."""
    answer = ask(home, copilot, "auto", "Say hello")

    assert answer.strip().endswith("Say hello")
    first, *others = copilot.calls()
    assert ("POST", "/auto", 200) == first[:3]
    assert [("WEBSOCKET", 200)] == [(one[0], one[2]) for one in others if one not in SOCKET]


@only_in_ci
@pytest.mark.parametrize("model", ["claude-opus-5.5", "gpt-6.1-sol", "gemini-4-carbon"])
def test_image(home: Home, copilot: Copilot, model: str) -> None:
    """An attached image reaches the model on each API."""
    image = home.work / "dot.png"
    image.write_bytes(base64.b64decode(PNG))

    answer = ask(home, copilot, model, "What is this?", "--attachment", str(image))

    assert f"playing {model}: no model has read this. I see 1 image." in answer
    assert [] == [one for one in copilot.calls() if one[2] >= 400]


@only_in_ci
@pytest.mark.parametrize("model", ["gpt-6.1-sol", "claude-opus-5.5", "gemini-4-carbon"])
def test_many_tools(home: Home, copilot: Copilot, model: str) -> None:
    """The CLI defers tools in each API's format, and nothing is refused."""
    server = {"type": "local", "command": sys.executable, "args": [str(FOLDER / "mcp_server.py")]}
    config = json.dumps({"mcpServers": {"parts": {**server, "tools": ["*"]}}})

    answer = ask(home, copilot, model, "Say hello", "--additional-mcp-config", config)

    assert f"playing {model}" in answer
    # The CLI's list of deferred tools may make the simulator call some.
    requests = [one for one in copilot.requests() if isinstance(one["body"], dict)]
    requests = [one for one in requests if one["body"].get("tools")]
    assert {200} == {one["status"] for one in requests}
    if model.startswith("gpt"):
        kinds = {tool["type"] for tool in requests[0]["body"]["tools"]}
        assert {"function", "custom", "namespace", "tool_search"} == kinds


@only_in_ci
def test_import(home: Home, copilot: Copilot, tmp_path: Path) -> None:
    """The CLI's record of an answer is imported, with the answer's exact cost."""
    ask(home, copilot, "claude-opus-5.5", "Say hello")
    with closing(open_for_writing(tmp_path / "ledger.sqlite3")) as ledger:
        found = import_events(ledger, home.path / ".copilot" / FILE_NAME)
        [last, *_] = ledger.execute(
            "SELECT model, cost_source, nano_aiu > 0, api FROM requests ORDER BY id DESC"
        ).fetchall()
        assert ([], []) == verify(ledger)[1:]

    assert found.added > 0
    assert ("claude-opus-5.5", "reported", 1, "messages") == last
