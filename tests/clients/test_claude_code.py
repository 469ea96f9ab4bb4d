"""Claude Code, set up as described in docs/clients.md."""

import json
import re
from typing import Any

import pytest

from tests.clients.conftest import KEY, Home, Server, needed, snippets
from tests.selection import first, only_in_ci, sample

SCRIPT = "@anthropic-ai/claude-code/cli-wrapper.cjs"
PATHS = {
    "claude-haiku-4.5": "/v1/messages",
    "claude-opus-5.5": "/v1/messages",
    "gpt-6.1-sol": "/responses",
    "kimi-k3": "/chat/completions",
    "gemini-4-carbon": "/chat/completions",
}

pytestmark = needed(SCRIPT)


def claude(home: Home, server: Server, prompt: str, *options: str, **environ: str) -> Any:
    """Return Claude Code's final result and its metadata."""
    (setup,) = snippets("Claude Code", "sh")
    given = dict(re.findall(r"^export (\w+)=(.*)$", setup, re.M))
    given |= {"ANTHROPIC_BASE_URL": server.url, "ANTHROPIC_AUTH_TOKEN": KEY, **environ}
    given = {name: value for name, value in given.items() if value}
    written = home.run(SCRIPT, "--output-format", "json", *options, "-p", prompt, **given)
    return json.loads(written)


@only_in_ci
@pytest.mark.parametrize("model", PATHS)
def test_answer(home: Home, server: Server, model: str) -> None:
    """Every kind of model answers, and nothing that Claude Code adds is refused."""
    said = claude(home, server, "Say hello", "--model", model)

    assert f"playing {model}" in said["result"]
    assert said["result"].endswith("You said: Say hello")
    assert said["usage"]["output_tokens"] > 0
    assert [(PATHS[model], 200, "user")] == [
        (one["path"], one["status"], one["initiator"]) for one in server.requests()
    ]


@pytest.mark.parametrize("model", sample(PATHS, alike=lambda model: PATHS[model] == "/v1/messages"))
def test_read(home: Home, server: Server, model: str) -> None:
    """The model reads a file with Claude Code's tool, and answers with its content."""
    note = home.work / "note.txt"
    note.write_text("The word is xylophone.\n")

    said = claude(home, server, f'Call the Read tool with "{note}"', "--model", model)

    assert "Read answered" in said["result"]
    assert "The word is xylophone." in said["result"]
    assert [(200, "user"), (200, "agent")] == [
        (one["status"], one["initiator"]) for one in server.requests()
    ]


@only_in_ci
def test_command(home: Home, server: Server) -> None:
    """The configured model runs a command."""
    prompt = 'Call the Bash tool with "echo tool-$((40+2))"'

    said = claude(home, server, prompt, "--allowedTools", "Bash")

    assert said["result"].endswith("Bash answered: tool-42")
    assert {"claude-opus-5.5"} == {one["body"]["model"] for one in server.requests()}


def test_auto_mode(home: Home, server: Server) -> None:
    """Claude Code checks a command with a request of its own, and runs it."""
    prompt = 'Call the Bash tool with "curl http://127.0.0.1:1; echo tool-$((40+2))"'

    said = claude(home, server, prompt, "--permission-mode", "auto")

    assert "tool-42" in said["result"]
    assert [200, 200, 200] == [one["status"] for one in server.requests()]


@only_in_ci
@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("claude-opus-5-5[1m]", "claude-opus-5.5"),
        ("opus", "claude-opus-5.5"),
        ("sonnet", "claude-sonnet-5.5"),
        ("haiku", "claude-haiku-5.5"),
        ("claude-haiku-4-5-20251001", "claude-haiku-4.5"),
        ("claude-opus-5.5[1m]", "claude-opus-5.5"),
        ("claude-sonnet-4.6[1m]", "claude-sonnet-4.6"),
    ],
)
def test_names(home: Home, server: Server, name: str, model: str) -> None:
    """Claude Code's model names, even for long contexts, map to the account's models."""
    said = claude(home, server, "Say hello", "--model", name)

    assert said["result"].endswith("You said: Say hello")
    assert [model] == [one["body"]["model"] for one in server.requests()]


@only_in_ci
def test_api_key(home: Home, server: Server) -> None:
    """The server's key also works as an API key."""
    said = claude(home, server, "Say hello", ANTHROPIC_AUTH_TOKEN="", ANTHROPIC_API_KEY=KEY)

    assert said["result"].endswith("You said: Say hello")


@only_in_ci
def test_discovery(home: Home, server: Server) -> None:
    """Claude Code lists the account's Claude models."""
    claude(home, server, "Say hello", CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY="1")

    found = json.loads((home.path / ".claude" / "cache" / "gateway-models.json").read_text())
    names = {model["id"]: model["display_name"] for model in found["models"]}
    assert "Claude Opus 5.5" == names["claude-opus-5.5"]


@pytest.mark.parametrize(
    ("fault", "words"),
    first(
        [
            ("filtered_422", "content filter blocked the request"),
            ("cyber_policy", "misuse detection blocked the request"),
            ("quota_exceeded", "quota is used up"),
        ]
    ),
)
def test_a_refusal_is_not_retried(home: Home, server: Server, fault: str, words: str) -> None:
    """A request that keeps being refused reaches GitHub once, and Claude Code shows the reason."""
    server.switch(fault, on=True)
    try:
        with pytest.raises(AssertionError, match=words):
            claude(home, server, "Say hello")
    finally:
        server.switch(fault, on=False)

    assert 1 == len(server.requests())
