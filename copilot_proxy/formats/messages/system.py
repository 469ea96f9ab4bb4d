"""Removes from the system prompt any text that Claude refuses or that defeats its prompt cache."""

from typing import Final

from copilot_proxy.formats.rules.blank_texts import without_blanks
from copilot_proxy.formats.types import Json, MessagesRequest

_BILLING: Final = "x-anthropic-billing-header:"


def drop_billing_line(body: MessagesRequest, notes: list[str]) -> None:
    """Remove Claude Code's billing line from `body["system"]`; the blocks are copied first."""
    system = body.get("system")
    if isinstance(system, list):
        body["system"] = [dict(block) for block in without_billing(system, notes)]


def without_billing(blocks: list[Json], notes: list[str]) -> list[Json]:
    """Return the blocks without the block in which Claude Code identifies itself for billing.

    The block is not an instruction, and it changes with each request, so nothing after it could be
    read from the prompt cache.
    """
    kept = [block for block in blocks if not str(block.get("text")).startswith(_BILLING)]
    if len(kept) < len(blocks):
        notes.append("dropped the billing line from the system prompt: it would defeat the cache")
    return kept


def drop_blank_system(body: MessagesRequest) -> None:
    """Remove blank text from `body["system"]`."""
    if "system" in body:
        body["system"] = without_blanks(body["system"])
        if not body["system"]:
            del body["system"]
