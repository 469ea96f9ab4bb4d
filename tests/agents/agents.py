"""The coding agents that the tests run, as ``copilot-proxy run`` starts them.

They run without a terminal, with one prompt, and print the answer.
"""

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from copilot_proxy.clients.claude_code import CLAUDE_CODE
from copilot_proxy.clients.client import Client
from copilot_proxy.clients.codex import CODEX
from copilot_proxy.clients.continue_cli import CONTINUE
from copilot_proxy.clients.copilot_cli import COPILOT_CLI
from copilot_proxy.clients.gemini_cli import GEMINI_CLI
from copilot_proxy.clients.opencode import OPENCODE
from copilot_proxy.clients.pi import PI
from copilot_proxy.clients.qwen_code import QWEN_CODE

TESTS = Path(__file__).parents[1]
MACHINE = "arm64" if os.uname().machine in ("aarch64", "arm64") else "x64"
AGENTS, CLIENTS, OFFICIAL = (
    TESTS / folder / "node_modules" for folder in ("agents", "clients", "official")
)
NODE = AGENTS / f"node-linux-{MACHINE}" / "bin" / "node"
NOWHERE = "http://127.0.0.1:9"


@dataclass(frozen=True)
class Agent:
    """A coding agent."""

    client: Client
    """The product's definition, which says how it is pointed at the server."""
    program: Path
    arguments: Sequence[str]
    """Before the prompt."""
    own_files: Mapping[str, str] = field(default_factory=dict)
    """Paths in the home, with the contents: a configuration that uses another server."""
    tool: str = "bash"
    """A tool that runs a command of a shell, or that lists files."""
    is_script: bool = True
    """Whether Node runs the program."""
    requests: int = 1
    """How many requests it makes of a model that refuses each."""
    unknown_model: str = ""
    """Its own words for a model that the server refuses, if it does not show the server's."""
    is_split: bool = False
    """Whether it quotes a prompt of several words, unless each is an argument."""

    @property
    def command(self) -> list[str]:
        """The words that start it."""
        node = str(NODE) if NODE.exists() else shutil.which("node") or "node"
        return [node, str(self.program)] if self.is_script else [str(self.program)]


ALL = (
    Agent(
        CLAUDE_CODE,
        CLIENTS / "@anthropic-ai/claude-code/cli-wrapper.cjs",
        # As root it refuses to skip its questions, so the tool is allowed by name.
        ["--allowedTools", "Bash", "-p"],
        {
            ".claude/settings.json": f"""{{
  "model": "opus",
  "env": {{"ANTHROPIC_BASE_URL": "{NOWHERE}", "CLAUDE_CODE_USE_BEDROCK": "1"}}
}}"""
        },
        tool="Bash",
        unknown_model="issue with the selected model",
    ),
    Agent(
        CODEX,
        CLIENTS / "@openai/codex/bin/codex.js",
        [
            *("-c", "check_for_update_on_startup=false", "-c", "analytics.enabled=false"),
            *("-c", "features.plugins=false"),
            *("exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"),
        ],
        {
            ".codex/config.toml": f"""# mine
model = "gpt-oss"
model_provider = "other"
[model_providers.other]
name = "other"
base_url = "{NOWHERE}/v1"
"""
        },
        tool="exec_command",
    ),
    Agent(
        OPENCODE,
        OFFICIAL
        / f"opencode-linux-{MACHINE}{'-baseline' if MACHINE == 'x64' else ''}/bin/opencode",
        ["run"],
        {
            ".config/opencode/opencode.jsonc": f"""{{
  // mine
  "$schema": "https://opencode.ai/config.json",
  "model": "other/some",
  "provider": {{
    "other": {{
      "npm": "@ai-sdk/openai-compatible",
      "options": {{"baseURL": "{NOWHERE}/v1"}},
      "models": {{"some": {{}}}},
    }},
  }},
}}"""
        },
        is_script=False,
        requests=2,  # one of them for the title of the session
        is_split=True,
    ),
    Agent(
        COPILOT_CLI,
        OFFICIAL / f"@github/copilot-linux-{MACHINE}/copilot",
        ["--allow-all-tools", "-p"],
        is_script=False,
        unknown_model="not found on provider",
    ),
    Agent(QWEN_CODE, AGENTS / "@qwen-code/qwen-code/cli-entry.js", ["-p"], tool="glob"),
    Agent(
        CONTINUE,
        AGENTS / "@continuedev/cli/dist/cn.js",
        ["-p"],
        {
            ".continue/config.yaml": f"""# mine
name: mine
version: 0.0.1
schema: v1
models:
  - {{name: other, provider: openai, model: some, apiBase: "{NOWHERE}/v1", roles: [chat]}}
"""
        },
        tool="Bash",
    ),
    Agent(
        GEMINI_CLI,
        AGENTS / "@google/gemini-cli/bundle/gemini.js",
        ["--skip-trust", "--yolo", "-p"],
        {
            ".gemini/settings.json": """{
  // mine
  "security": {"auth": {"selectedType": "oauth-personal"}},
  "model": {"name": "gemini-pro"}
}"""
        },
        tool="glob",
    ),
    Agent(
        PI,
        AGENTS / "@earendil-works/pi-coding-agent/dist/bundle/cli.js",
        ["-p"],
        {
            ".pi/agent/models.json": f"""{{"providers": {{"other": {{
  "baseUrl": "{NOWHERE}/v1", "api": "openai-completions", "apiKey": "x",
  "models": [{{"id": "some"}}]
}}}}}}"""
        },
    ),
)
