"""Which ``anthropic-beta`` names go on to Copilot, which refuses a request for any other."""

from collections.abc import Callable, Iterable
from typing import Final

from copilot_proxy.catalogue import LONG_CONTEXT_SUFFIX
from copilot_proxy.formats.messages.schema import Json

CONTEXT: Final = "context-management-2025-06-27"
TOOLS: Final = "advanced-tool-use-2025-11-20"
SYSTEM: Final = "mid-conversation-system-2026-04-07"
ALLOWED: Final[tuple[str, ...]] = ("interleaved-thinking-2025-05-14", CONTEXT, TOOLS, SYSTEM)
"""What the Copilot API is known to take; ``context-1m`` is a model of its own there."""


LONG_CONTEXT: Final = "context-1m-2025-08-07"
"""With it Anthropic's models take a long context; Copilot has editions of their own for that."""


def _has_context_management(request: Json) -> bool:
    return "context_management" in request


def _defers_tools(request: Json) -> bool:
    return any(tool.get("defer_loading") for tool in request.get("tools") or ())


def _has_system_turns(request: Json) -> bool:
    return any(message["role"] == "system" for message in request["messages"])


_NEEDED: Final[tuple[tuple[str, Callable[[Json], bool]], ...]] = (
    (CONTEXT, _has_context_management),
    (TOOLS, _defers_tools),
    (SYSTEM, _has_system_turns),
)
"""What a request cannot do without, whether the client named it or not."""


def asks_long_context(header_values: Iterable[str]) -> bool:
    """Whether the client wants the long context: Claude Code does for a name with ``[1m]``."""
    return any(LONG_CONTEXT in value for value in header_values)


def betas(header_values: Iterable[str], request: Json) -> tuple[list[str], list[str]]:
    """The names to send with a prepared request, and those of the client's that are dropped.

    `header_values` are those of all the client's ``anthropic-beta`` headers, each a list with
    commas.
    """
    named = [name.strip() for value in header_values for name in value.split(",")]
    named = list(dict.fromkeys(name for name in named if name))
    needed = [name for name, applies in _NEEDED if applies(request)]
    send = [name for name in ALLOWED if name in named or name in needed]
    met = (LONG_CONTEXT,) if request["model"].endswith(LONG_CONTEXT_SUFFIX) else ()
    return send, [name for name in named if name not in (*ALLOWED, *met)]
