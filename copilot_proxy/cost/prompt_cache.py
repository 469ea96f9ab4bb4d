"""Finds out why a part of a request's prompt missed the provider's cache.

A request is compared with the earlier requests of its conversation; see `prompt_match`.
"""

from collections.abc import Callable, Sequence
from typing import Final, Literal, NamedTuple

from copilot_proxy.cost.nano_aiu import token_cost
from copilot_proxy.cost.price_list import PriceList, Tier
from copilot_proxy.cost.prompt_match import (
    DIGEST_BYTES,
    MIN_TOKENS,
    Earlier,
    Match,
    Prompt,
    compare,
)

Reason = Literal[
    "cold",
    "model_switch",
    "ttl_expiry",
    "prefix_change",
    "compaction",
    "tier_crossed",
    "rerouted",
]
_MIN_SHARE: Final = 0.8
"""A request that reads at least this share of the cached tokens does not count as a miss."""


class CacheMiss(NamedTuple):
    """Why a part of a request's prompt missed the cache."""

    reason: Reason
    lost: int | None
    """The additional cost in nano-AIU; None if the price is unknown."""
    detail: str | None = None
    """Depending on `reason`: the first changed block, the previous model, or the pause and the TTL
    in seconds, such as ``720 300``."""


def find_cache_miss(
    prompt: Prompt,
    earlier: Sequence[Earlier],
    prices: PriceList | None,
    others: Callable[[], Sequence[Earlier]] = tuple,
) -> CacheMiss | None:
    """Return why a part of `prompt` missed the cache, or None if no large part did.

    `earlier` are prompts of the same conversation, such as the latest prompt sent to each model.
    Only if `prompt` continues none of these, `others` is called for prompts that may belong to the
    same conversation.
    """
    matches = [compare(prompt, one) for one in earlier if one.ready_us <= prompt.started_us]
    related = [one for one in matches if _is_related(one)] or [
        # On another Copilot API, tools and calls look different.
        one._replace(readable=min(one.earlier.cached, prompt.tokens.prompt))
        for one in matches
        if one.earlier.model != prompt.model and _has_moved(prompt, one)
    ]
    if not related:
        compared = [compare(prompt, one) for one in others() if one.ready_us <= prompt.started_us]
        related = [one for one in compared if _is_related(one)]
    if not related:
        return _beginning(prompt, matches, prices)
    best = max(
        (one for one in related if one.earlier.model == prompt.model),
        key=lambda one: (one.readable, one.earlier.started_us),
        default=None,
    )
    latest = max(related, key=lambda one: one.earlier.started_us)
    if best is None or (
        latest.earlier.model != prompt.model and _pause(prompt, best) > best.earlier.ttl
    ):
        if _has_read(prompt, latest):
            return None
        lost = _lost(prompt, latest.readable, prices)
        return CacheMiss("model_switch", lost, latest.earlier.model)
    has_crossed = prompt.tier == "long_context" and best.earlier.tier == "default"
    if _has_read(prompt, best):
        return CacheMiss("tier_crossed", _surcharge(prompt, prices)) if has_crossed else None
    lost = _lost(prompt, best.readable, prices)
    pause, ttl = _pause(prompt, best), best.earlier.ttl
    if pause > ttl and not _has_survived(prompt, best):
        return CacheMiss("ttl_expiry", lost, f"{round(pause)} {ttl}")
    if _has_changed(prompt, best):
        return CacheMiss("prefix_change", lost, _changed_place(prompt, best))
    if has_crossed:
        return CacheMiss("tier_crossed", _sum(lost, _surcharge(prompt, prices)))
    return CacheMiss("rerouted", lost)


def _is_related(match: Match) -> bool:
    return match.kept >= 0.5 and match.readable >= MIN_TOKENS


def _has_moved(prompt: Prompt, match: Match) -> bool:
    """Return whether the conversation seems to have moved to another Copilot API."""
    is_similar = prompt.tokens.prompt >= match.earlier.tokens / 2 and match.earlier.cached
    return bool(match.has_same_beginning and not match.has_same_start and is_similar)


def _changed_place(prompt: Prompt, match: Match) -> str:
    """Return the first block that differs, such as ``tool 14 Bash`` or ``message 6``."""
    if prompt.tools <= match.common < match.earlier.tools:
        return f"tool {match.common + 1}"  # the tool that was removed
    return " ".join(str(one) for one in prompt.places[match.common] if one)


def _beginning(
    prompt: Prompt, matches: Sequence[Match], prices: PriceList | None
) -> CacheMiss | None:
    """Return the cache miss of a prompt that continues no earlier one, or None.

    After a compaction, the tools and the system prompt are unchanged, and the conversation is much
    shorter. Any other prompt is a miss unless most of it was cached.
    """
    for one in matches:
        is_shorter = 2 * one.messages <= one.earlier_messages
        if one.has_same_start and is_shorter and one.earlier.model == prompt.model:
            return CacheMiss("compaction", _lost(prompt, one.readable, prices))
    is_cold = prompt.tokens.cache_read < _MIN_SHARE * prompt.tokens.prompt
    return CacheMiss("cold", 0) if is_cold else None


def _has_read(prompt: Prompt, match: Match) -> bool:
    return prompt.tokens.cache_read >= _MIN_SHARE * match.readable


def _has_changed(prompt: Prompt, match: Match) -> bool:
    """Return whether a change in the prompt explains most of the miss.

    Claude's cache ends where the earlier prompt ended, so any change explains the miss. With other
    models, everything up to the change could still have been read.
    """
    is_extended = match.common * DIGEST_BYTES == len(match.earlier.digests)
    if is_extended or match.common >= len(prompt.places):
        return False
    prefix = match.prefix if match.prefix >= MIN_TOKENS else 0  # a shorter one is never read
    read = prompt.tokens.cache_read
    return prompt.marked or max(0, prefix - read) <= match.readable - max(prefix, read)


def _has_survived(prompt: Prompt, match: Match) -> bool:
    """Return whether the conversation was still in the cache, up to a change in it.

    The tools and the system prompt prove nothing, since other conversations may have used them.
    """
    is_alive = prompt.tokens.cache_read >= _MIN_SHARE * match.prefix > match.start
    return is_alive and _has_changed(prompt, match)


def _pause(prompt: Prompt, match: Match) -> float:
    """Return the seconds since the cached prompt was last used."""
    return (prompt.started_us - match.earlier.started_us) / 1e6


def _lost(prompt: Prompt, readable: int, prices: PriceList | None) -> int | None:
    """Return the extra cost of the `readable` tokens that were not read from the cache."""
    if prices is None:
        return None
    missed, tier = max(0, readable - prompt.tokens.cache_read), _tier(prompt, prices)
    is_written = prompt.tokens.cache_write + prompt.tokens.cache_write_1h > 0
    paid = tier.cache_write if is_written else tier.input
    return max(
        0,
        token_cost(missed, paid, prices.batch) - token_cost(missed, tier.cache_read, prices.batch),
    )


def _surcharge(prompt: Prompt, prices: PriceList | None) -> int | None:
    """Return how much more the request costs than it would in the default tier."""
    if prices is None:
        return None
    return prices.cost(prompt.tokens) - prices._replace(threshold=None).cost(prompt.tokens)


def _tier(prompt: Prompt, prices: PriceList) -> Tier:
    is_long = prices.tier(prompt.tokens.prompt) == "long_context"
    return prices.long_context if is_long and prices.long_context else prices.default


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other
