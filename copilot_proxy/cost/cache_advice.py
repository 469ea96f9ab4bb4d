"""Explains in sentences why requests missed the prompt cache, and what to do about it."""

from typing import Final

from copilot_proxy.cost.prompt_match import LONG_TTL, TTL

_CHANGES: Final = {
    "tool": (
        "changed the list of tools, first at {detail}",
        "Connect all MCP servers before the first message and do not change the tools during a "
        "session.",
    ),
    "system": (
        "changed the system prompt, first at {detail}",
        "Look for text in the prompt that changes every time, such as the date or a list of files.",
    ),
    "settings": (
        "changed tool_choice or thinking in the middle of a conversation",
        "Choose both at the start of a session.",
    ),
    "message": (
        "changed or removed earlier messages",
        "Clients do this when they shorten old tool results or when you edit a message. Compact "
        "the conversation instead: that changes the prompt less often.",
    ),
}
"""First word of the detail -> what the requests did, and what to do about it."""
_REASONS: Final = {
    "ttl_expiry": (
        "came after a pause longer than the {lifetime} for which prompts stay in the cache; "
        "{which} {detail}",
        "Continue sooner, or compact the conversation before a long pause.",
    ),
    "model_switch": (
        "switched from {detail} to another model, which has its own cache",
        "Switch models at the start of a session, or after compacting.",
    ),
    "rerouted": (
        "missed the cache although the same prompt had been sent shortly before",
        "Copilot may have used another machine. You cannot prevent this.",
    ),
    "tier_crossed": (
        "made the conversation so long that every token costs more",
        "Compact earlier, or set context_guard = true to make agents do so.",
    ),
    "compaction": (
        "came after the conversation had been compacted",
        "That is the price of a shorter conversation and usually pays off soon.",
    ),
}


def explain(reason: str, detail: str | None, count: int) -> tuple[str, str]:
    """Return what happened to `count` requests and what to do about it, as two texts.

    The first text continues a sentence that starts with a subject such as "3 requests". `reason` is
    a `cost.prompt_cache.Reason` other than ``cold``, and `detail` is stored with it in the ledger.
    """
    detail = detail or ""
    if reason == "prefix_change":
        kind, _, rest = detail.partition(" ")
        what, advice = _CHANGES.get(kind, _CHANGES["message"])
        number, _, name = rest.partition(" ")
        detail = f"{kind if kind == 'tool' else 'part'} {number}" + (f" ({name})" if name else "")
        return what.format(detail=detail), advice
    what, advice = _REASONS[reason]
    lifetime = ""
    if reason == "ttl_expiry":
        pause, ttl = pause_and_ttl(detail)
        detail, lifetime = _minutes(pause), "hour" if ttl == LONG_TTL else _minutes(ttl)
    which = "it lasted" if count == 1 else "the longest was"
    return what.format(detail=detail, which=which, lifetime=lifetime), advice


def pause_and_ttl(detail: str | None) -> tuple[int, int]:
    """Return the two numbers in the detail of a ``ttl_expiry``, in seconds."""
    pause, _, ttl = (detail or "").partition(" ")
    return int(pause) if pause.isdecimal() else 0, int(ttl) if ttl.isdecimal() else TTL


def _minutes(seconds: int) -> str:
    return f"{seconds // 60} minutes"
