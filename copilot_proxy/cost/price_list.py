"""The prices of a model's tokens, from its entry in Copilot's list or from the bundled table.

If the price of input or output is missing, all prices are unknown. The prices of cache reads and
cache writes default to the price of input; reasoning costs as much as output. Source of these
rules: GitHub's specification of AI credits for agentic workflows.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from copilot_proxy.cost.nano_aiu import NANO, token_cost
from copilot_proxy.cost.tokens import Tokens
from copilot_proxy.model_prices import number

_MILLION: Final = 1_000_000
_REPORTED: Final = {
    "input": "input_price",
    "output": "output_price",
    "cache_read": "cache_read_price",
    "cache_write": "cache_write_price",
    "cache_write_1h": "cache_write_1h",
}
"""The types of tokens in an answer -> the names of their prices in the model list."""


class Tier(NamedTuple):
    """Prices in nano-AIU per batch."""

    input: int
    output: int
    cache_read: int
    cache_write: int
    cache_write_1h: int


class PriceList(NamedTuple):
    """The prices of one model."""

    batch: int
    """The number of tokens that the prices apply to."""
    default: Tier
    long_context: Tier | None = None
    """The prices for prompts of more than `threshold` tokens."""
    threshold: int | None = None

    def tier(self, prompt: int) -> str:
        """Return Copilot's name for the tier of a prompt with this many tokens."""
        is_long = self.threshold is not None and prompt > self.threshold
        return "long_context" if is_long and self.long_context else "default"

    def cost(self, tokens: Tokens) -> int:
        """Return the cost of `tokens` in nano-AIU."""
        prices = self._prices(tokens.prompt)
        return sum(
            token_cost(count, price, self.batch)
            for count, price in (
                (tokens.input, prices.input),
                (tokens.cache_read, prices.cache_read),
                (tokens.cache_write, prices.cache_write),
                (tokens.cache_write_1h, prices.cache_write_1h),
                (tokens.output, prices.output),
            )
        )

    def highest_cost(self, prompt: int, cached: int, output: int) -> int:
        """Return the maximum cost of a request in nano-AIU. Tokens that are not `cached` may have
        to be written to the cache, usually at a higher price than input."""
        prices = self._prices(prompt)
        fresh = max(prices.input, prices.cache_write)
        total = (prompt - cached) * fresh + cached * prices.cache_read + output * prices.output
        return token_cost(1, total, self.batch)

    def _prices(self, prompt: int) -> Tier:
        if self.threshold is not None and prompt > self.threshold:
            return self.long_context or self.default
        return self.default


def listed_prices(entry: Mapping[str, Any]) -> PriceList | None:
    """Return the prices in a model's entry in Copilot's list, or None if it has none.

    Prices in tiers are in AI credits per batch, and prices without tiers in nano-AIU.
    """
    prices = _mapping(_mapping(entry.get("billing")).get("token_prices"))
    batch = int(number(prices.get("batch_size")) or _MILLION)
    standard = _mapping(prices.get("default"))
    default = _tier(standard, NANO) if standard else _tier(prices, 1)
    if default is None:
        return None
    # `context_max` is the former name of `max_prompt_tokens`.
    threshold = number(standard.get("max_prompt_tokens", standard.get("context_max")))
    return PriceList(
        batch,
        default,
        _tier(_mapping(prices.get("long_context")), NANO),
        None if threshold is None else int(threshold),
    )


def reported_parts(copilot_usage: Mapping[str, Any] | None) -> list[tuple[Any, ...]]:
    """Return what `reported_prices` reads, so that the prices of two answers can be compared."""
    details = (copilot_usage or {}).get("token_details")
    return [
        (one.get("token_type"), one.get("batch_size"), one.get("cost_per_batch"))
        for one in (details if isinstance(details, list) else ())
        if isinstance(one, dict)
    ]


def reported_prices(copilot_usage: Mapping[str, Any] | None) -> PriceList | None:
    """Return the prices in the ``token_details`` that Copilot sends with an answer.

    Returns None unless input and output both have a price, and all prices are for the same number
    of tokens. The details of a short prompt do not include the prices of long ones.
    """
    details = (copilot_usage or {}).get("token_details")
    prices: dict[str, Any] = {}
    batches = set()
    for detail in details if isinstance(details, list) else ():
        kind = detail.get("token_type") if isinstance(detail, Mapping) else None
        if isinstance(kind, str) and kind in _REPORTED:
            prices[_REPORTED[kind]] = detail.get("cost_per_batch")
            batches.add(number(detail.get("batch_size")))
    batch = batches.pop() if len(batches) == 1 else None
    default = _tier(prices, 1)
    return PriceList(int(batch), default) if batch and default is not None else None


def _tier(prices: Mapping[str, Any], unit: int) -> Tier | None:
    """Return the prices of a tier. The numbers in `prices` are multiples of `unit` nano-AIU."""
    fresh, output = number(prices.get("input_price")), number(prices.get("output_price"))
    if fresh is None or output is None:
        return None
    read = number(prices.get("cache_read_price", prices.get("cache_price")))
    written = number(prices.get("cache_write_price"))
    hour = number(prices.get("cache_write_1h"))
    written = fresh if written is None else written
    return Tier(
        input=round(fresh * unit),
        output=round(output * unit),
        cache_read=round((fresh if read is None else read) * unit),
        cache_write=round(written * unit),
        cache_write_1h=round((written if hour is None else hour) * unit),
    )


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
