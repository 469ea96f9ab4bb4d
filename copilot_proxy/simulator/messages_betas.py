"""The values that Copilot accepts in the anthropic-beta header."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .messages_thinking import invalid_request

if TYPE_CHECKING:
    from .call import Call

CONTEXT = "context-management-2025-06-27"
TOOLS = "advanced-tool-use-2025-11-20"
SYSTEM = "mid-conversation-system-2026-04-07"
CACHE = "extended-cache-ttl-2025-04-11"
BINDING = "thinking-binding-controls-2026-08-01"
DISPLAY = "thinking-display-updates-2026-08-18"
BETAS = {
    "interleaved-thinking-2025-05-14", CONTEXT, TOOLS, SYSTEM, CACHE, BINDING, DISPLAY,
    "structured-outputs-2025-11-13", "fallback-credit-2026-07-01",
    "mid-conversation-output-config-2026-07-01", "inline-tools-2026-09-15",
    "mid-conversation-tool-changes-2026-07-01", "advisor-tool-2026-03-01",
}  # fmt: skip
"""The only accepted names; official clients send all of them."""


def betas_of(call: Call) -> set[str]:
    """Return the betas of a request. Raises a 400 for unknown names."""
    given = call.headers.get("anthropic-beta", "")
    betas = {one.strip() for one in given.split(",") if one.strip()}
    if unknown := sorted(betas - BETAS):
        raise invalid_request(
            f"Unexpected value(s) {', '.join(f'`{one}`' for one in unknown)} for the "
            "`anthropic-beta` header. Please consult our documentation or try again without it."
        )
    return betas
