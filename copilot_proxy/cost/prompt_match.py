"""Compares a prompt with an earlier one of its conversation.

Only digests of the prompts are known: they show whether two blocks are equal, but not what the
blocks contain.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

from copilot_proxy.cost.tokens import Tokens

DIGEST_BYTES: Final = 8
TTL: Final = 300
"""Seconds for which a prompt stays cached after its last use; some providers keep it longer."""
LONG_TTL: Final = 3600
MIN_TOKENS: Final = 1024
"""Minimum length in tokens of a prompt that providers cache."""
_STEP: Final = 128
"""The granularity of OpenAI's cache, in tokens."""


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
    ttl: int
    """Seconds for which the prompt stays in the cache."""
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

    @cached_property
    def beginning(self) -> bytes:
        """The digests of the blocks of the first message."""
        first, places = self.first_message, self.places
        end = first
        while end < len(places) and places[end] == places[first]:
            end += 1
        return b"".join(self.digests[first:end])

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


class Match(NamedTuple):
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
    start: int
    """The new prompt's tokens in the tools and the system prompt."""
    prefix: int
    """The tokens in the `common` blocks."""
    readable: int
    """The tokens that could have been read from the cache if nothing had changed: those of all
    blocks that are also in the earlier prompt, including blocks that were edited since."""
    has_same_beginning: bool
    """Whether the first message is the same."""
    kept: float
    """The share of the earlier prompt's messages that is also in the new prompt, or of those after
    the first change, if that is more."""


def compare(prompt: Prompt, earlier: Earlier) -> Match:
    """Return how `earlier` compares with `prompt`."""
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
    in_edited = _edited(prompt, known)
    tokens, total = prompt.tokens.prompt, sum(sizes) or 1
    start = tokens * sum(sizes[:first]) // total
    return Match(
        earlier,
        common,
        has_same_start,
        tokens - start,
        earlier.tokens - start,
        start,
        tokens * sum(sizes[:common]) // total,
        min(earlier.cached, tokens * (in_start + in_messages + in_edited) // total),
        bool(prompt.beginning)
        and earlier.digests.startswith(prompt.beginning, DIGEST_BYTES * earlier.first_message),
        max(
            tokens * in_messages // total / max(1, earlier.tokens - start),
            # An edit, such as a cleared tool result, leaves the messages after it unchanged, even
            # if it affects most of the tokens. A compaction does not.
            _share_kept(prompt, known[common + 1 :]),
        )
        if has_same_start
        else _share_kept(prompt, known[earlier.first_message :]),
    )


def _edited(prompt: Prompt, known: Sequence[bytes]) -> int:
    """Return the size of the messages that were edited.

    An edit leaves at least as many blocks after it unchanged. Otherwise, the conversation took
    another course.
    """
    first, theirs = prompt.first_message, set(known)
    edited = changed = unchanged = size = 0
    pairs = zip(prompt.digests, known, prompt.sizes, strict=False)
    for one, other, block in list(pairs)[first:]:
        if one != other:
            if unchanged:
                changed = unchanged = size = 0
            changed += 1
            size += 0 if one in theirs else block  # those are counted anyway
        elif changed:
            unchanged += 1
            if unchanged == changed:
                edited += size
                changed = unchanged = size = 0
    return edited


def _share_kept(prompt: Prompt, messages: Sequence[bytes]) -> float:
    ours = set(prompt.digests)
    return sum(digest in ours for digest in messages) / len(messages) if messages else 0.0
