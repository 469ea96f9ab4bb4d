"""The tokens of a request, by the types that are priced separately."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

_NUMBERS: Final = (int, float)
_MAX_COUNT: Final = 10**15
"""A higher count is not plausible, and is ignored."""
_PRICED: Final = frozenset({"input", "cache_read", "cache_write", "cache_write_1h", "output"})
"""The token types in Copilot's details that are priced separately."""


class Tokens(NamedTuple):
    """Token counts that do not overlap, except that `output` includes `reasoning`."""

    input: int = 0
    """Fresh tokens, neither read from the cache nor written to it."""
    cache_read: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    """Tokens written to the cache to stay there for an hour instead of five minutes."""
    output: int = 0
    reasoning: int = 0

    @property
    def prompt(self) -> int:
        """All tokens of the prompt, which determine the price tier."""
        return self.input + self.cache_read + self.cache_write + self.cache_write_1h


def from_usage(usage: Mapping[str, Any] | None) -> Tokens | None:
    """Return the counts in a Chat Completions usage object, or None if it counts nothing.

    The object's prompt tokens include the cached ones, which are subtracted here. In Gemini's
    streams, only the last chunk has counts other than zero.
    """
    if usage is None:
        return None
    asked, answered = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    if not asked and not answered:
        return None
    prompt = _details(usage, "prompt")
    read, written = _count(prompt, "cached_tokens"), _count(prompt, "cache_creation_input_tokens")
    for_an_hour = min(written, _count(prompt, "cache_creation_1h_input_tokens"))
    return Tokens(
        input=max(0, asked - read - written),
        cache_read=read,
        cache_write=written - for_an_hour,
        cache_write_1h=for_an_hour,
        output=answered,
        reasoning=_reasoning(usage),
    )


def from_details(
    copilot_usage: Mapping[str, Any] | None, usage: Mapping[str, Any] | None
) -> Tokens | None:
    """Return the counts in the ``token_details`` of ``copilot_usage``, or None if there are none.

    Reasoning tokens, which the details rarely list, are taken from `usage` if they are missing.
    """
    details = (copilot_usage or {}).get("token_details")
    counts: dict[str, int] = {}
    for detail in details if isinstance(details, list) else ():
        if isinstance(detail, dict):
            kind = str(detail.get("token_type"))
            counts[kind] = counts.get(kind, 0) + _count(detail, "token_count")
    if _PRICED.isdisjoint(counts) or not any(counts.values()):
        return None
    separate = counts.get("reasoning", 0)
    known = counts.get
    return Tokens(
        known("input", 0),
        known("cache_read", 0),
        known("cache_write", 0),
        known("cache_write_1h", 0),
        known("output", 0) + separate,
        separate or _reasoning(usage or {}),
    )


def _reasoning(usage: Mapping[str, Any]) -> int:
    return _count(_details(usage, "completion"), "reasoning_tokens")


def _details(usage: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    value = usage.get(f"{kind}_tokens_details")
    return value if isinstance(value, dict) else {}


def _count(counts: Mapping[str, Any], name: str) -> int:
    value = counts.get(name)
    if type(value) is int:  # the usual case
        return value if 0 < value < _MAX_COUNT else 0
    return int(value) if isinstance(value, _NUMBERS) and 0 < value < _MAX_COUNT else 0
