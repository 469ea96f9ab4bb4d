"""Claude Code, whose settings file takes precedence over the variables it was started with.

A settings file named on the command line takes precedence over both. Source:
https://code.claude.com/docs/en/settings and /llm-gateway.
"""

import json
from typing import Final

from copilot_proxy.clients.client import Client, Connection, Launch, Machine, Setup
from copilot_proxy.config_edits.changes import JsonValues

_FILE: Final = "settings.json"
_TIERS: Final = ("opus", "sonnet", "haiku", "fable")
"""Claude Code's names for model sizes. Model families have the same names."""
_OTHER_PROVIDERS: Final = (
    "CLAUDE_CODE_USE_BEDROCK",
    "CLAUDE_CODE_USE_VERTEX",
    "CLAUDE_CODE_USE_FOUNDRY",
)


def _launch(to: Connection) -> Launch:
    environ = _variables(to)
    settings = {"env": environ | dict.fromkeys(_OTHER_PROVIDERS, "")}
    return Launch(
        ("--settings", str(to.folder / _FILE)), environ, {_FILE: json.dumps(settings, indent=2)}
    )


def _setup(to: Connection, machine: Machine) -> Setup:
    path = machine.folder("CLAUDE_CONFIG_DIR", ".claude") / _FILE
    values = [(("env", name), value) for name, value in _variables(to).items()]
    others = [(("env", name), "") for name in _OTHER_PROVIDERS]
    return Setup([JsonValues(path, values, where_set=others)], start="claude")


def _variables(to: Connection) -> dict[str, str]:
    environ = {
        "ANTHROPIC_BASE_URL": to.url,
        "ANTHROPIC_AUTH_TOKEN": to.key,
        "ANTHROPIC_API_KEY": "",  # otherwise Claude Code would ask whether to use the user's key
        "ANTHROPIC_MODEL": to.model.id,
        # Claude Code assumes a million tokens for unknown models.
        **({"CLAUDE_CODE_MAX_CONTEXT_TOKENS": str(to.model.input)} if to.model.input else {}),
        # Adds the account's Claude models to the /model menu.
        "CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY": "1",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "CLAUDE_CODE_ATTRIBUTION_HEADER": "0",
        # Otherwise, Claude Code would send the definitions of all MCP tools with every request,
        # because the URL is not Anthropic's.
        "ENABLE_TOOL_SEARCH": "true",
        # In auto mode, makes Claude Code check its actions with separate requests. Otherwise, it
        # would expect each answer to include the result of such a check, which only Anthropic's
        # servers provide.
        "CLAUDE_CODE_AUTO_MODE_SERVER": "0",
    }
    for tier in _TIERS:
        if model := to.families.get(tier):
            environ[f"ANTHROPIC_DEFAULT_{tier.upper()}_MODEL"] = model.id
    return environ


CLAUDE_CODE: Final = Client(
    name="claude-code",
    title="Claude Code",
    programs=("claude",),
    paths=(".local/bin/claude", ".claude/local/claude"),
    install="npm install -g @anthropic-ai/claude-code",
    version="2.1.332",
    apis=("messages",),
    resume="--continue",
    launch=_launch,
    setup=_setup,
    lists_models=True,
    overrides=(*_OTHER_PROVIDERS, "ANTHROPIC_CUSTOM_HEADERS", "CLAUDE_CODE_OAUTH_TOKEN"),
    families=_TIERS,
)
