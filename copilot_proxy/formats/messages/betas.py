"""Selects the ``anthropic-beta`` names to send to Copilot, which rejects unknown ones."""

from collections.abc import Callable, Iterable
from typing import Final

from copilot_proxy.formats.types import MessagesRequest
from copilot_proxy.model_ids import LONG_CONTEXT_SUFFIX

CONTEXT: Final = "context-management-2025-06-27"
TOOLS: Final = "advanced-tool-use-2025-11-20"
SYSTEM: Final = "mid-conversation-system-2026-04-07"
ALLOWED: Final[tuple[str, ...]] = ("interleaved-thinking-2025-05-14", CONTEXT, TOOLS, SYSTEM)
"""The betas that the Copilot API is known to accept."""

LONG_CONTEXT: Final = "context-1m-2025-08-07"
"""The beta for Anthropic's long context; Copilot has separate models for that."""


def _has_context_management(request: MessagesRequest) -> bool:
    return "context_management" in request


def _defers_tools(request: MessagesRequest) -> bool:
    return any(tool.get("defer_loading") for tool in request.get("tools") or ())


def _has_system_messages(request: MessagesRequest) -> bool:
    return any(message["role"] == "system" for message in request["messages"])


_REQUIRED: Final[tuple[tuple[str, Callable[[MessagesRequest], bool]], ...]] = (
    (CONTEXT, _has_context_management),
    (TOOLS, _defers_tools),
    (SYSTEM, _has_system_messages),
)
"""The betas that a request needs if the function is true, even if the client did not name them."""


def wants_long_context(header_values: Iterable[str]) -> bool:
    """Return whether the client wants the long context.

    Claude Code names the beta for a model name with ``[1m]``. `header_values` are the values of all
    ``anthropic-beta`` headers.
    """
    return any(LONG_CONTEXT in value for value in header_values)


def select_betas(
    header_values: Iterable[str], request: MessagesRequest
) -> tuple[list[str], list[str]]:
    """Return the beta names to send with `request`, and the client's names that are dropped.

    `header_values` are the values of all the client's ``anthropic-beta`` headers; each is a
    comma-separated list. `request` is the body as it is sent to Copilot.
    """
    named = [name.strip() for value in header_values for name in value.split(",")]
    named = list(dict.fromkeys(name for name in named if name))
    required = [name for name, applies in _REQUIRED if applies(request)]
    selected = [name for name in ALLOWED if name in named or name in required]
    fulfilled = (LONG_CONTEXT,) if request["model"].endswith(LONG_CONTEXT_SUFFIX) else ()
    return selected, [name for name in named if name not in (*ALLOWED, *fulfilled)]
