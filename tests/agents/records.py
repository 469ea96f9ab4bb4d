"""How each coding agent is pointed at the server: one record for each, without any files of a user.

They run without a terminal, with one prompt, and print the answer.
"""

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

TESTS = Path(__file__).parents[1]
MACHINE = "arm64" if os.uname().machine in ("aarch64", "arm64") else "x64"
OPENCODE = {"x64": "x64-baseline"}.get(MACHINE, MACHINE)
AGENTS, CLIENTS, OFFICIAL = (
    TESTS / folder / "node_modules" for folder in ("agents", "clients", "official")
)
NODE = AGENTS / f"node-linux-{MACHINE}" / "bin" / "node"


@dataclass(frozen=True)
class Setup:
    """What one agent needs to use a model of the server."""

    arguments: Sequence[str]
    """Before the prompt."""
    environ: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    """Paths in the home, with contents."""


@dataclass(frozen=True)
class Agent:
    """A coding agent."""

    name: str
    program: Path
    setup: Callable[[str, str, Path], Setup]
    """Returns the setup for the server's URL, a model, and the agent's home."""
    tool: str = "bash"
    """A tool that runs a command of a shell, or that lists files."""
    is_script: bool = True
    """Whether Node runs the program."""
    requests: int = 1
    """How many requests it makes of a model that refuses each."""
    is_split: bool = False
    """Whether it quotes a prompt of several words, unless each is an argument."""

    @property
    def command(self) -> list[str]:
        """The words that start it."""
        node = str(NODE) if NODE.exists() else shutil.which("node") or "node"
        return [node, str(self.program)] if self.is_script else [str(self.program)]


def _claude_code(url: str, model: str, home: Path) -> Setup:
    environ = {
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_AUTH_TOKEN": "x",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    }
    # As root it refuses to skip its questions, so the tool is allowed by name.
    return Setup(["--model", model, "--allowedTools", "Bash", "-p"], environ)


def _codex(url: str, model: str, home: Path) -> Setup:
    config = f"""
model = "{model}"
model_provider = "copilot"
check_for_update_on_startup = false
[model_providers.copilot]
name = "copilot-proxy"
base_url = "{url}/v1"
wire_api = "responses"
[analytics]
enabled = false
[features]
plugins = false
"""
    arguments = ["exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"]
    return Setup(arguments, files={".codex/config.toml": config})


def _opencode(url: str, model: str, home: Path) -> Setup:
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "options": {"baseURL": f"{url}/v1", "apiKey": "x"},
        "models": {model: {}},
    }
    config = {"model": f"copilot/{model}", "provider": {"copilot": provider}}
    return Setup(["run"], {"OPENCODE_CONFIG_CONTENT": json.dumps(config)})


def _copilot_cli(url: str, model: str, home: Path) -> Setup:
    environ = {
        "COPILOT_OFFLINE": "true",
        "COPILOT_PROVIDER_BASE_URL": f"{url}/v1",
        "COPILOT_PROVIDER_TYPE": "openai",
        "COPILOT_PROVIDER_API_KEY": "x",
        "COPILOT_MODEL": model,
    }
    return Setup(["--allow-all-tools", "-p"], environ)


def _qwen_code(url: str, model: str, home: Path) -> Setup:
    environ = {"OPENAI_BASE_URL": f"{url}/v1", "OPENAI_API_KEY": "x", "OPENAI_MODEL": model}
    return Setup(["--auth-type", "openai", "-p"], environ)


def _continue(url: str, model: str, home: Path) -> Setup:
    config = f"""
name: copilot-proxy
version: 0.0.1
schema: v1
models:
  - name: copilot
    provider: openai
    model: {model}
    apiBase: {url}/v1
    apiKey: x
    roles: [chat]
"""
    file = "config.yaml"
    return Setup(["--config", str(home / file), "-p"], files={file: config})


def _pi(url: str, model: str, home: Path) -> Setup:
    provider = {
        "baseUrl": f"{url}/v1",
        "api": "openai-completions",
        "apiKey": "x",
        "models": [{"id": model}],
    }
    config = json.dumps({"providers": {"copilot": provider}})
    arguments = ["--model", f"copilot/{model}", "-p"]
    return Setup(arguments, files={".pi/agent/models.json": config})


ALL = (
    Agent(
        "Claude Code",
        CLIENTS / "@anthropic-ai/claude-code/cli-wrapper.cjs",
        _claude_code,
        tool="Bash",
    ),
    Agent("Codex CLI", CLIENTS / "@openai/codex/bin/codex.js", _codex, tool="exec_command"),
    Agent(
        "opencode",
        OFFICIAL
        / f"opencode-linux-{MACHINE}{'-baseline' if MACHINE == 'x64' else ''}/bin/opencode",
        _opencode,
        is_script=False,
        requests=2,  # one of them for the title of the session
        is_split=True,
    ),
    Agent(
        "Copilot CLI",
        OFFICIAL / f"@github/copilot-linux-{MACHINE}/copilot",
        _copilot_cli,
        is_script=False,
    ),
    Agent("qwen-code", AGENTS / "@qwen-code/qwen-code/cli-entry.js", _qwen_code, tool="glob"),
    Agent("Continue", AGENTS / "@continuedev/cli/dist/cn.js", _continue, tool="Bash"),
    Agent("pi", AGENTS / "@earendil-works/pi-coding-agent/dist/bundle/cli.js", _pi),
)
