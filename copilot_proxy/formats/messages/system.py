"""The system prompt, as Copilot's Claude takes it."""

from typing import Final

from copilot_proxy.formats.messages.schema import Json

_BILLING: Final = "x-anthropic-billing-header:"


def settle_system(body: Json, notes: list[str]) -> None:
    """Takes from `system` of `body` what Copilot refuses or has no use for, in place."""
    system = body.get("system")
    if isinstance(system, list):
        body["system"] = [dict(b) for b in without_billing(system, notes) if _says(b)]
    elif isinstance(system, str):
        body["system"] = system if system.strip() else ""
    if not body.get("system"):
        body.pop("system", None)


def without_billing(blocks: list[Json], notes: list[str]) -> list[Json]:
    """The blocks without that in which Claude Code tells Anthropic's billing about itself.

    It is no instruction, and since it changes with each request, nothing after it could ever be
    read from the prompt cache.
    """
    kept = [block for block in blocks if not str(block.get("text")).startswith(_BILLING)]
    if len(kept) < len(blocks):
        notes.append("dropped the billing line of the system prompt: it would defeat the cache")
    return kept


def _says(block: Json) -> bool:
    return block["type"] != "text" or bool((block.get("text") or "").strip())
