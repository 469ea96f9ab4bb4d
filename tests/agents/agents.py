"""The coding agents that the tests run, with ``copilot-proxy run`` or after ``connect``.

They run without a terminal, with one prompt, and print the answer.
"""

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from copilot_proxy.clients.aider import AIDER
from copilot_proxy.clients.claude_code import CLAUDE_CODE
from copilot_proxy.clients.client import Client
from copilot_proxy.clients.cline import CLINE
from copilot_proxy.clients.codex import CODEX
from copilot_proxy.clients.continue_cli import CONTINUE
from copilot_proxy.clients.copilot_cli import COPILOT_CLI
from copilot_proxy.clients.droid import DROID
from copilot_proxy.clients.gemini_cli import GEMINI_CLI
from copilot_proxy.clients.gptme import GPTME
from copilot_proxy.clients.llm import LLM
from copilot_proxy.clients.opencode import KILO, OPENCODE
from copilot_proxy.clients.pi import PI
from copilot_proxy.clients.qwen_code import QWEN_CODE

TESTS = Path(__file__).parents[1]
MACHINE = "arm64" if os.uname().machine in ("aarch64", "arm64") else "x64"
AGENTS, CLIENTS, OFFICIAL = (
    TESTS / folder / "node_modules" for folder in ("agents", "clients", "official")
)
PYTHON = TESTS.parent / ".venv-agents" / "bin"
NODE = AGENTS / f"node-linux-{MACHINE}" / "bin" / "node"
NOWHERE = "http://127.0.0.1:9"

CODEX_ARGUMENTS = (
    *("-c", "check_for_update_on_startup=false", "-c", "analytics.enabled=false"),
    *("-c", "features.plugins=false"),
    *("exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"),
)


@dataclass(frozen=True)
class Agent:
    """A coding agent."""

    client: Client
    """The product's definition of this client."""
    program: Path
    arguments: Sequence[str]
    """Arguments before the prompt."""
    own_files: Mapping[str, str] = field(default_factory=dict)
    """Files in the home folder, by path, that configure another server."""
    connected: Sequence[str] | None = None
    """The arguments to use after ``connect``, if they differ; ``~`` is the home folder."""
    environ: Mapping[str, str] = field(default_factory=dict)
    """The variables that the agent needs after ``connect``."""
    tool: str = "bash"
    """A tool that runs a shell command or lists files; empty if the agent has no tools."""
    argument: str = "ls"
    """The arguments of the tool call."""
    is_script: bool = True
    """Whether Node runs the program."""
    requests: int = 1
    """How many requests the agent sends to a model that refuses all of them."""
    unknown_model: str = ""
    """The agent's own message for a refused model, if it does not show the server's."""
    is_slow: bool = False
    """Whether the agent waits for its vendor's servers each time.

    Such an agent would wait forever for a proxy that does not answer, so its proxy refuses
    connections, and it runs in only a few tests.
    """
    is_split: bool = False
    """Whether the agent puts quotes around a prompt of several words that is one argument."""

    @property
    def command(self) -> list[str]:
        """The command line that starts the agent."""
        node = str(NODE) if NODE.exists() else shutil.which("node") or "node"
        return [node, str(self.program)] if self.is_script else [str(self.program)]


_IN_CI = (
    Agent(
        CLAUDE_CODE,
        CLIENTS / "@anthropic-ai/claude-code/cli-wrapper.cjs",
        # As root, the agent refuses to skip its questions, so the tool is allowed by name.
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
        CODEX_ARGUMENTS,
        {
            ".codex/config.toml": f"""# mine
model = "gpt-oss"
model_provider = "other"
[model_providers.other]
name = "other"
base_url = "{NOWHERE}/v1"
"""
        },
        ["--profile", "copilot-proxy", *CODEX_ARGUMENTS],
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
        requests=2,  # one of them is for the title of the session
        is_split=True,
    ),
    Agent(
        COPILOT_CLI,
        OFFICIAL / f"@github/copilot-linux-{MACHINE}/copilot",
        ["--allow-all-tools", "-p"],
        is_script=False,
        unknown_model="not found on provider",
    ),
    Agent(
        QWEN_CODE,
        AGENTS / "@qwen-code/qwen-code/cli-entry.js",
        ["-p"],
        {
            ".qwen/settings.json": f"""{{
  // mine
  "modelProviders": {{
    "openai": [
      {{"id": "some", "name": "other", "envKey": "OTHER", "baseUrl": "{NOWHERE}/v1"}} // last
    ]
  }},
  "$version": 4
}}"""
        },
        tool="glob",
        argument="*.txt",
    ),
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
        ["--config", "~/.continue/copilot-proxy.yaml", "-p"],
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
        argument="*.txt",
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
        ["--model", "copilot-proxy/claude-sonnet-5.5", "-p"],
    ),
    Agent(
        CLINE,
        AGENTS / f"@cline/cli-linux-{MACHINE}/bin/cline",
        [],
        {
            ".cline/data/settings/providers.json": f"""{{
  "version": 1,
  "lastUsedProvider": "deepseek",
  "modes": {{}},
  "providers": {{
    "deepseek": {{
      "settings": {{"provider": "deepseek", "apiKey": "x", "baseUrl": "{NOWHERE}/v1"}},
      "updatedAt": "2026-11-29T19:00:00.000Z",
      "tokenSource": "manual"
    }}
  }}
}}"""
        },
        tool="run_commands",
        is_script=False,
        is_slow=True,
    ),
    Agent(
        DROID,
        AGENTS / f"@factory/cli-linux-{MACHINE}/bin/droid",
        ["exec"],
        {
            ".factory/settings.json": f"""{{
\t// mine
\t"customModels": [
\t\t{{"id": "custom:some-0", "index": 0, "model": "some", "displayName": "Other",
\t\t"baseUrl": "{NOWHERE}", "apiKey": "x", "provider": "openai"}} // last
\t]
}}"""
        },
        ["exec", "-m", "custom:copilot-claude-sonnet-5.5"],
        {"FACTORY_API_KEY": "any"},
        tool="LS",
        argument=".",
        is_script=False,
        is_slow=True,
    ),
    Agent(
        LLM,
        PYTHON / "llm",
        [],
        {".config/io.datasette.llm/keys.json": '{"openai":"mine"}'},
        ["-m", "copilot/claude-sonnet-5.5"],
        tool="",
        is_script=False,
    ),
)
_BY_HAND = (
    Agent(
        AIDER,
        TESTS.parent / ".venv-aider" / "bin" / "aider",
        ["--no-git", "--yes-always", "--no-check-update", "--analytics-disable", "--message"],
        {".aider.conf.yml": f'# mine\nopenai-api-base: "{NOWHERE}/v1"\n'},
        tool="",
        is_script=False,
        is_slow=True,
    ),
    Agent(
        KILO,
        AGENTS / f"@kilocode/cli-linux-{MACHINE}/bin/kilo",
        ["run"],
        {
            # The agent adds the schema or the permission if it is missing.
            ".config/kilo/kilo.jsonc": f"""{{
  "$schema": "https://app.kilo.ai/config.json",
  // mine
  "permission": {{"bash": "allow"}},
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
        # The agent adds text after the prompt, which the simulator would take for the prompt.
        tool="",
        is_script=False,
        is_slow=True,
        is_split=True,
    ),
    # gptme needs another version of the openai package than llm, so it has its own environment.
    Agent(
        GPTME,
        TESTS.parent / ".venv-gptme" / "bin" / "gptme",
        ["--non-interactive"],
        {
            ".config/gptme/config.toml": f"""# mine
[[providers]]
name = "other"
base_url = "{NOWHERE}/v1"
"""
        },
        ["--non-interactive", "--model", "copilot-proxy/claude-sonnet-5.5"],
        tool="",
        is_script=False,
        is_slow=True,
    ),
)
IS_COMPLETE: Final = os.environ.get("AGENTS") == "all"
"""Whether to run all agents and tests, instead of only those for CI."""
ALL = (*_IN_CI, *_BY_HAND) if IS_COMPLETE else _IN_CI
