"""``usage --why``: why requests missed the prompt cache, what that cost, and what to do."""

import json
import textwrap
from collections.abc import Iterator
from typing import Final

from copilot_proxy.cli.console import counted, print_result
from copilot_proxy.cost.nano import rounded
from copilot_proxy.cost.prompt_cache import TTL
from copilot_proxy.ledger.cache_queries import Loss, losses
from copilot_proxy.ledger.database import Database
from copilot_proxy.ledger.periods import Period
from copilot_proxy.ledger.queries import Filters

_WIDTH: Final = 80
_CHANGES: Final = {
    "tool": (
        "changed the list of tools, first at {detail}",
        "Connect all MCP servers before the first message, and leave the tools as they are during "
        "a session.",
    ),
    "system": (
        "changed the system prompt, first at {detail}",
        "Look for text in it that is new each time, such as the time or a list of files.",
    ),
    "settings": (
        "changed tool_choice or thinking in the middle of a conversation",
        "Choose both at the start of a session.",
    ),
    "message": (
        "changed or removed earlier messages",
        "Clients do that when they shorten old tool results, or when you edit a message. Compact "
        "the conversation instead, which happens less often.",
    ),
}
"""What has changed, by the first word of the detail, and what to do about it."""
_REASONS: Final = {
    "ttl_expiry": (
        f"came after a pause longer than the {TTL // 60} minutes for which prompts stay in the "
        "cache; the longest was {detail}",
        "Continue sooner, or compact the conversation before a long pause.",
    ),
    "model_switch": (
        "changed the model, which has a cache of its own; before it was {detail}",
        "Change the model at the start of a session, or after compacting.",
    ),
    "rerouted": (
        "did not find their prompt although it was sent shortly before",
        "Copilot sent them to another machine. There is nothing to do on your side.",
    ),
    "tier_crossed": (
        "made their conversation so long that every token costs more",
        "Compact earlier, or set context_guard = true, so that agents do.",
    ),
    "compaction": (
        "came after the conversation had been compacted",
        "That is the price of a shorter conversation, and usually pays off soon.",
    ),
}


def show(database: Database, period: Period, filters: Filters, *, as_json: bool) -> int:
    """Print why requests missed the cache in a period."""
    found = losses(database, period, filters)
    if as_json:
        print_result(json.dumps(_as_json(found), indent=2))
    else:
        for text in _lines(found):
            print_result(text)
    return 0


def _lines(found: list[Loss]) -> Iterator[str]:
    if not found:
        yield "No request missed the prompt cache."
        return
    count, lost = sum(one.requests for one in found), sum(one.nano_aiu for one in found)
    yield (
        f"{counted(count, 'request')} lost {rounded(lost)} AI credits by not reading from the "
        "prompt cache:"
    )
    amounts = [rounded(one.nano_aiu) for one in found]
    width = max(map(len, amounts))
    for one, amount in zip(found, amounts, strict=True):
        what, advice = _words(one)
        yield ""
        sentence = (
            f"{one.client or 'unknown client'}: {counted(one.requests, 'request')} {what}. {advice}"
        )
        yield from textwrap.wrap(
            sentence,
            _WIDTH,
            initial_indent=f"{amount:>{width}}  ",
            subsequent_indent=" " * (width + 2),
            break_long_words=False,
            break_on_hyphens=False,
        )


def _words(loss: Loss) -> tuple[str, str]:
    """Return what has happened, as the end of a sentence, and what to do about it."""
    detail = loss.detail or ""
    if loss.reason == "prefix_change":
        kind, _, rest = detail.partition(" ")
        what, advice = _CHANGES.get(kind, _CHANGES["message"])
        number, _, name = rest.partition(" ")
        detail = f"{kind if kind == 'tool' else 'part'} {number}" + (f" ({name})" if name else "")
        return what.format(detail=detail), advice
    what, advice = _REASONS[loss.reason]
    if loss.reason == "ttl_expiry" and detail.isdecimal():
        detail = f"{int(detail) // 60} minutes"
    return what.format(detail=detail), advice


def _as_json(found: list[Loss]) -> dict[str, object]:
    return {
        "requests": sum(one.requests for one in found),
        "cache_lost_nano_aiu": sum(one.nano_aiu for one in found),
        "losses": [
            {
                "client": one.client,
                "reason": one.reason,
                "detail": one.detail,
                "requests": one.requests,
                "cache_lost_nano_aiu": one.nano_aiu,
                "unknown_cost_requests": one.unknown_cost_requests,
                "advice": _words(one)[1],
            }
            for one in found
        ],
    }
