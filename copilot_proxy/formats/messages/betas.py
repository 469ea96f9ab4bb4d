"""Selects the ``anthropic-beta`` names to send to Copilot, which rejects unknown names."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple

from msgspec import UNSET

from copilot_proxy.formats.messages.cache_control import has_long_marks
from copilot_proxy.formats.plain_turns import values_of
from copilot_proxy.formats.rules.thinking import BINDING
from copilot_proxy.formats.types import MessagesRequest
from copilot_proxy.model_ids import LONG_CONTEXT_SUFFIX

LONG_CONTEXT: Final = "context-1m-2025-08-07"
"""The beta for Anthropic's long context, for which Copilot has separate models."""


def _has_context_management(request: MessagesRequest) -> bool:
    return "context_management" in request


def _defers_tools(request: MessagesRequest) -> bool:
    return any(tool.get("defer_loading") for tool in request.get("tools") or ())


def _has_system_messages(request: MessagesRequest) -> bool:
    return "system" in values_of(request["messages"], "role")


def _configures_turns(request: MessagesRequest) -> bool:
    return any(one is not UNSET for one in values_of(request["messages"], "output_config"))


def _binds_thinking(request: MessagesRequest) -> bool:
    thinking = request.get("thinking")
    return isinstance(thinking, dict) and BINDING in thinking


_ALONE: Final = "Copilot refuses it without the field that it belongs to"


class Beta(NamedTuple):
    """A beta that Copilot accepts."""

    name: str
    source: str
    is_needed: Callable[[MessagesRequest], bool] | None = None
    """Returns whether a request needs the beta, even if the client did not name it."""
    is_refused_alone: bool = False
    """Whether Copilot rejects the beta in a request that does not need it."""


_VSCODE: Final = "source code of GitHub's Copilot Chat for VS Code"
_CLI: Final = "GitHub's Copilot CLI 1.0.102, observed"
_IN_CLI: Final = "code of GitHub's Copilot CLI 1.0.102"

BETAS: Final = (
    Beta("interleaved-thinking-2025-05-14", _VSCODE),
    Beta("context-management-2025-06-27", _VSCODE, _has_context_management),
    Beta("advanced-tool-use-2025-11-20", _VSCODE, _defers_tools),
    Beta("mid-conversation-system-2026-04-07", "public proxies, 2026", _has_system_messages),
    Beta("extended-cache-ttl-2025-04-11", _VSCODE, has_long_marks),
    Beta("thinking-binding-controls-2026-08-01", _CLI, _binds_thinking, is_refused_alone=True),
    Beta("structured-outputs-2025-11-13", "opencode 1.18, observed"),
    Beta("fallback-credit-2026-07-01", _CLI),
    Beta("mid-conversation-output-config-2026-07-01", _CLI, _configures_turns),
    Beta("inline-tools-2026-09-15", _IN_CLI),
    Beta("mid-conversation-tool-changes-2026-07-01", _IN_CLI),
    Beta("advisor-tool-2026-03-01", _IN_CLI),
    Beta("thinking-display-updates-2026-08-18", _IN_CLI),
)
"""The betas that Copilot accepts; all others are dropped."""

_UNSUPPORTED: Final = "Copilot does not support it"

_OF_OTHER_APIS: Final = (
    "admin-user-sign-out", "agent-memory", "analytics-usage-cost",
    "ce-claude-code-managed-settings", "ce-plugins", "ce-user-management", "dreaming", "efs",
    "experimental-claude-tag", "files-api", "google-managed-data-controls", "managed-agents",
    "mcp-tunnels", "message-batches", "skills", "spend-limit-reads", "telemetry-destinations",
    "user-profiles", "user-profiles-billing", "webhooks",
)  # fmt: skip
_OF_FIELDS: Final = (
    "cache-diagnosis", "code-execution", "compact", "computer-use", "fallback-credit",
    "fast-mode", "mcp-client", "message-threads", "mid-conversation-system-clear-at",
    "server-side-fallback", "task-budgets",
)  # fmt: skip
"""Betas whose fields and tools are rejected or noted separately."""
_OF_DETAILS: Final = (
    "dev-full-thinking", "model-context-window-exceeded", "output-128k", "output-300k",
    "thinking-token-count", "token-efficient-tools",
)  # fmt: skip
"""Betas that only change details of answers; no client depends on these details."""

DROPPED: Final[Mapping[str, str]] = {
    **dict.fromkeys(_OF_OTHER_APIS, "it is for another Anthropic API"),
    **dict.fromkeys((*_OF_FIELDS, *_OF_DETAILS), _UNSUPPORTED),
}
"""Beta that Copilot does not accept, named without its date -> why it is dropped."""

ALWAYS_ON: Final = ("prompt-caching", "pdfs", "token-counting")
"""Names, without dates, of betas for features that are now always available; no note is needed."""

_DATE: Final = re.compile(r"-\d{4}-?\d\d-?\d\d$")


def wants_long_context(header_values: Iterable[str]) -> bool:
    """Return whether the client asks for the long context window.

    Claude Code does so if the model's name contains ``[1m]``. `header_values` are the values of all
    ``anthropic-beta`` headers.
    """
    return any(LONG_CONTEXT in value for value in header_values)


def select_betas(
    header_values: Iterable[str], request: MessagesRequest
) -> tuple[list[str], dict[str, str]]:
    """Return the betas to send with `request`, and the dropped betas, each with the reason.

    `header_values` are the values of all the client's ``anthropic-beta`` headers; each is a
    comma-separated list. `request` is the body as it is sent to Copilot.
    """
    named = [name.strip() for value in header_values for name in value.split(",")]
    named = list(dict.fromkeys(name for name in named if name))
    selected = [beta.name for beta in BETAS if _is_selected(beta, named, request)]
    fulfilled = (LONG_CONTEXT,) if request["model"].endswith(LONG_CONTEXT_SUFFIX) else ()
    return selected, {
        name: _drop_reason(name)
        for name in named
        if name not in (*selected, *fulfilled) and undated(name) not in ALWAYS_ON
    }


def undated(name: str) -> str:
    """Return a beta's name without the date."""
    return _DATE.sub("", name)


def _drop_reason(name: str) -> str:
    if any(name == beta.name for beta in BETAS):
        return _ALONE
    return DROPPED.get(undated(name), _UNSUPPORTED)


def _is_selected(beta: Beta, named: list[str], request: MessagesRequest) -> bool:
    if beta.name in named and not beta.is_refused_alone:
        return True
    return beta.is_needed is not None and beta.is_needed(request)
