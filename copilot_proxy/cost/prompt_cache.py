"""Finds out why a part of a request's prompt missed the provider's cache.

A request is compared with the earlier requests of its conversation. Only digests of their prompts
are known: they show whether two blocks are equal, but not what the blocks contain.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal, NamedTuple

from copilot_proxy.cost.nano_aiu import token_cost
from copilot_proxy.cost.price_list import PriceList, Tier
from copilot_proxy.cost.tokens import Tokens

Reason = Literal[
    "cold",
    "model_switch",
    "ttl_expiry",
    "prefix_change",
    "compaction",
    "tier_crossed",
    "rerouted",
]
DIGEST_BYTES: Final = 8
TTL: Final = 300
"""Seconds for which a prompt stays cached after its last use; some providers keep it longer."""
LONG_TTL: Final = 3600
MIN_TOKENS: Final = 1024
"""Minimum length in tokens of a prompt that providers cache."""
_STEP: Final = 128
"""The granularity of OpenAI's cache, in tokens."""
_MIN_SHARE: Final = 0.8
"""A request that reads at least this share of the cached tokens does not count as a miss."""


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """A request's prompt, as far as it matters for the cache."""

    model: str
    started_us: int
    ready_us: int
    """When the answer began; from then on, the prompt is in the cache."""
    tokens: Tokens
    tier: str | None
    marked: bool
    """Whether only marked parts of the request are cached, as with Claude."""
    digests: tuple[bytes, ...]
    sizes: tuple[int, ...]
    """The size of each block; only the proportions matter."""
    places: tuple[tuple[str, int, str], ...]
    """The kind, number and name of each block."""

    @cached_property
    def tools(self) -> int:
        """The number of tools. The tools are the first blocks."""
        return sum(place[0] == "tool" for place in self.places)

    @cached_property
    def first_message(self) -> int:
        """The index of the first message's block, which follows the tools and the system prompt."""
        kinds = (number for number, place in enumerate(self.places) if place[0] == "message")
        return next(kinds, len(self.places))

    @property
    def ttl(self) -> int:
        """Seconds for which the prompt stays in the cache."""
        return LONG_TTL if self.tokens.cache_write_1h else TTL

    @property
    def cached(self) -> int:
        """How many of the prompt's tokens are in the cache after the request."""
        tokens = self.tokens
        if self.marked or tokens.cache_write or tokens.cache_write_1h:
            return tokens.cache_read + tokens.cache_write + tokens.cache_write_1h
        return tokens.prompt // _STEP * _STEP if tokens.prompt >= MIN_TOKENS else 0


class Earlier(NamedTuple):
    """What is remembered about an earlier prompt of the same conversation."""

    model: str
    started_us: int
    ready_us: int
    tokens: int
    cached: int
    tier: str | None
    ttl: int
    tools: int
    first_message: int
    digests: bytes
    """The concatenated digests of all blocks."""


class CacheMiss(NamedTuple):
    """Why a part of a request's prompt missed the cache."""

    reason: Reason
    lost: int | None
    """The additional cost in nano-AIU; None if the price is unknown."""
    detail: str | None = None
    """Depending on `reason`: the first changed block, the previous model, or the pause in seconds.
    """


class _Match(NamedTuple):
    """How an earlier prompt compares with a new one."""

    earlier: Earlier
    common: int
    """How many blocks at the start of both prompts are equal."""
    has_same_start: bool
    """Whether the tools and the system prompt are the same."""
    messages: int
    """The new prompt's tokens, without the tools and the system prompt."""
    earlier_messages: int
    """The earlier prompt's tokens, without the tools and the system prompt. Only meaningful if
    `has_same_start` is true."""
    prefix: int
    """The tokens in the `common` blocks."""
    readable: int
    """The tokens that could have been read from the cache if nothing had changed: those of all
    blocks that are also in the earlier prompt, including blocks that were edited since."""
    kept: float
    """The share of the earlier prompt's messages that is also in the new prompt, or of those after
    the first change, if that is more."""


def find_cache_miss(
    prompt: Prompt, earlier: Sequence[Earlier], prices: PriceList | None
) -> CacheMiss | None:
    """Return why a part of `prompt` missed the cache, or None if no large part did.

    `earlier` are prompts of the same conversation, such as the latest prompt sent to each model.
    """
    matches = [_compare(prompt, one) for one in earlier if one.ready_us <= prompt.started_us]
    related = [one for one in matches if one.kept >= 0.5 and one.readable >= MIN_TOKENS]
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
    if _pause(prompt, best) > best.earlier.ttl:
        return CacheMiss("ttl_expiry", lost, str(round(_pause(prompt, best))))
    if _has_changed(prompt, best):
        return CacheMiss("prefix_change", lost, _changed_place(prompt, best))
    if has_crossed:
        return CacheMiss("tier_crossed", _sum(lost, _surcharge(prompt, prices)))
    return CacheMiss("rerouted", lost)


def _changed_place(prompt: Prompt, match: _Match) -> str:
    """Return the first block that differs, such as ``tool 14 Bash`` or ``message 6``."""
    if prompt.tools <= match.common < match.earlier.tools:
        return f"tool {match.common + 1}"  # the tool that was removed
    return " ".join(str(one) for one in prompt.places[match.common] if one)


def _compare(prompt: Prompt, earlier: Earlier) -> _Match:
    known = [
        earlier.digests[at : at + DIGEST_BYTES]
        for at in range(0, len(earlier.digests), DIGEST_BYTES)
    ]
    common = 0
    for one, other in zip(prompt.digests, known, strict=False):
        if one != other:
            break
        common += 1
    first, theirs = prompt.first_message, set(known)
    has_same_start = first == earlier.first_message <= common
    # If the numbers of tools and system parts are unchanged, a block that differs was edited.
    # Without the edit, it would have been read from the cache.
    is_alike = (prompt.tools, first) == (earlier.tools, earlier.first_message)
    edited = first if is_alike else 0
    sizes = prompt.sizes
    in_start = sum(
        size
        for number, (digest, size) in enumerate(zip(prompt.digests[:first], sizes, strict=False))
        if number < edited or digest in theirs
    )
    in_messages = sum(
        size
        for digest, size in zip(prompt.digests[first:], sizes[first:], strict=True)
        if digest in theirs
    )
    tokens, total = prompt.tokens.prompt, sum(sizes) or 1
    start = tokens * sum(sizes[:first]) // total
    return _Match(
        earlier,
        common,
        has_same_start,
        tokens - start,
        earlier.tokens - start,
        tokens * sum(sizes[:common]) // total,
        min(earlier.cached, tokens * (in_start + in_messages) // total),
        max(
            tokens * in_messages // total / max(1, earlier.tokens - start),
            # An edit, such as a cleared tool result, leaves the messages after it unchanged, even
            # if it affects most of the tokens. A compaction does not.
            _share_kept(prompt, known[common + 1 :]),
        )
        if has_same_start
        else _share_kept(prompt, known[earlier.first_message :]),
    )


def _share_kept(prompt: Prompt, messages: Sequence[bytes]) -> float:
    ours = set(prompt.digests)
    return sum(digest in ours for digest in messages) / len(messages) if messages else 0.0


def _beginning(
    prompt: Prompt, matches: Sequence[_Match], prices: PriceList | None
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


def _has_read(prompt: Prompt, match: _Match) -> bool:
    return prompt.tokens.cache_read >= _MIN_SHARE * match.readable


def _has_changed(prompt: Prompt, match: _Match) -> bool:
    """Return whether a change in the prompt explains the miss.

    Claude's cache ends where the earlier prompt ended, so any change explains the miss. With other
    models, everything up to the change could still have been read.
    """
    is_extended = match.common * DIGEST_BYTES == len(match.earlier.digests)
    is_small = not prompt.marked and match.prefix >= _MIN_SHARE * match.readable
    return not is_extended and not is_small and match.common < len(prompt.places)


def _pause(prompt: Prompt, match: _Match) -> float:
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
