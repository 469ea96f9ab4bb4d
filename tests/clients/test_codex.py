"""The Codex CLI, set up as described in docs/clients.md."""

import base64
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import KEY, Home, Server, json_lines, needed, snippets
from tests.pictures import PNG
from tests.selection import first, only_in_ci

SCRIPT = "@openai/codex/bin/codex.js"
PATHS = {
    "gpt-6.1-sol": "/responses",
    "kimi-k3": "/chat/completions",
    "claude-opus-5.5": "/v1/messages",
    "gemini-4-carbon": "/chat/completions",
}
COMMAND = 'Call exec_command with "echo tool-$((40+2))"'
SCRIPTED = ("gpt-5.6-sol", "gpt-6.1-sol")
"""Models to which Codex offers a namespaced custom tool, `exec`, whose input is JavaScript."""

pytestmark = needed(SCRIPT)


def set_up(home: Home, server: Server, more: str = "") -> None:
    """Write the settings, with `more` added to the provider."""
    setup, quiet = snippets("Codex CLI", "toml")
    provider = setup.replace("http://127.0.0.1:8000", server.url)
    folder = home.path / ".codex"
    folder.mkdir()
    # Top-level keys must come before tables.
    top, tables = quiet.split("\n\n", 1)
    config = f'{top}\n{provider}env_key = "COPILOT_PROXY_API_KEY"\n{more}\n{tables}'
    (folder / "config.toml").write_text(config)


def ask(home: Home, *words: str) -> list[Any]:
    """Return the items of Codex's answer."""
    # Codex's sandbox needs privileges that a container may lack; the simulator chooses the
    # commands.
    fixed = (
        "exec",
        "--json",
        "--skip-git-repo-check",
        "--dangerously-bypass-approvals-and-sandbox",
    )
    written = home.run(SCRIPT, *fixed, *words, COPILOT_PROXY_API_KEY=KEY)
    return [event["item"] for event in json_lines(written) if event["type"] == "item.completed"]


def codex(home: Home, server: Server, prompt: str, *options: str, more: str = "") -> list[Any]:
    """Return the items of Codex's answer to a prompt, in a new home."""
    set_up(home, server, more)
    return ask(home, *options, prompt)


@pytest.mark.parametrize("model", first(PATHS))
def test_answer(home: Home, server: Server, model: str) -> None:
    """Every kind of model answers, and nothing that Codex adds is refused."""
    items = codex(home, server, "Say hello", "-m", model)

    assert "agent_message" == items[-1]["type"]
    assert f"playing {model}" in items[-1]["text"]
    assert items[-1]["text"].endswith("You said: Say hello")
    assert [(PATHS[model], 200, "user")] == [
        (one["path"], one["status"], one["initiator"]) for one in server.requests()
    ]


@pytest.mark.parametrize(
    "model", first(model for model in reversed(PATHS) if model not in SCRIPTED)
)
def test_command(home: Home, server: Server, model: str) -> None:
    """The model runs a command with Codex's tool, and answers with its result."""
    items = codex(home, server, COMMAND, "-m", model)

    ran = [item for item in items if item["type"] == "command_execution"]
    assert [(0, "tool-42\n")] == [(one["exit_code"], one["aggregated_output"]) for one in ran]
    assert "exec_command answered" in items[-1]["text"]
    assert "tool-42" in items[-1]["text"]
    assert [(200, "user"), (200, "agent")] == [
        (one["status"], one["initiator"]) for one in server.requests()
    ]


@pytest.mark.parametrize("model", first(SCRIPTED))
def test_custom_tool(home: Home, server: Server, model: str) -> None:
    """A call with plain-text input reaches Codex, and its result reaches the model."""
    items = codex(home, server, 'Call exec with "text(40 + 2)"', "-m", model)

    assert "exec answered: Script completed" in items[-1]["text"]
    assert items[-1]["text"].endswith("42")
    assert [(200, "user"), (200, "agent")] == [
        (one["status"], one["initiator"]) for one in server.requests()
    ]


@only_in_ci
def test_image(home: Home, server: Server) -> None:
    """An image that the user gives to Codex reaches the model."""
    image = home.work / "dot.png"
    image.write_bytes(base64.b64decode(PNG))

    items = codex(home, server, "What is this?", "--image", str(image), "--")

    assert "1 image" in items[-1]["text"]
    assert server.requests()[-1]["vision"]


@only_in_ci
def test_tools_of_an_mcp_server(home: Home, server: Server) -> None:
    """The model calls a namespaced tool by the name that Codex uses."""
    set_up(home, server)
    with (home.path / ".codex" / "config.toml").open("a") as config:
        config.write(f"\n[mcp_servers.moon]\ncommand = {json.dumps(sys.executable)}\n")
        config.write(f"args = {json.dumps([str(Path(__file__).parent / 'mcp_server.py')])}\n")

    called = ask(home, 'Call get_moon_phase for "Paris"')

    (call,) = [item for item in called if item["type"] == "mcp_tool_call"]
    assert ("moon", "get_moon_phase", {"city": "Paris"}) == (
        call["server"],
        call["tool"],
        call["arguments"],
    )
    assert "full moon in Paris" in called[-1]["text"]
