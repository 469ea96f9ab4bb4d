"""The system prompt, as Copilot's Claude takes it."""

from typing import Final

from copilot_proxy.formats.messages.schema import Json

_BILLING: Final = "x-anthropic-billing-header:"


def settle_system(body: Json, notes: list[str]) -> None:
    """Takes from `system` of `body` what Copilot has no use for, on a copy of its blocks."""
    system = body.get("system")
    if isinstance(system, list):
        body["system"] = [dict(block) for block in without_billing(system, notes)]


def without_billing(blocks: list[Json], notes: list[str]) -> list[Json]:
    """The blocks without that in which Claude Code tells Anthropic's billing about itself.

    It is no instruction, and since it changes with each request, nothing after it could ever be
    read from the prompt cache.
    """
    kept = [block for block in blocks if not str(block.get("text")).startswith(_BILLING)]
    if len(kept) < len(blocks):
        notes.append("dropped the billing line of the system prompt: it would defeat the cache")
    return kept
