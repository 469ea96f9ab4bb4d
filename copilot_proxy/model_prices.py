"""Reads the price of a model from its entry in Copilot's list.

Missing or malformed values are treated as unknown. Prices come in three forms: AI credits per batch
of tokens, in tiers; nano-AIU per batch, without tiers; and multipliers of a premium request.
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import Any, Final, NamedTuple

CREDIT: Final = 0.01
"""The price of an AI credit in dollars."""
_MILLION: Final = 1_000_000
_NANO: Final = 1e-9


class TokenPrice(NamedTuple):
    """Dollars per million tokens."""

    input: float
    output: float


class PriceClass(IntEnum):
    """How expensive a model is, in GitHub's four classes (``model_picker_price_category``)."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3
    VERY_HIGH = 4


_OUTPUT_LIMITS: Final = (2.5, 12.0, 30.0)
"""Maximum dollars per million output tokens that GitHub calls low, medium and high."""
_MULTIPLIER_LIMITS: Final = (0.5, 1.0, 6.0)
"""Maximum multipliers of a premium request for the same three classes."""


def token_price(entry: Mapping[str, Any]) -> TokenPrice | None:
    """Return the price of tokens in the default tier, or None if the entry does not have it."""
    prices = _mapping(_mapping(entry.get("billing")).get("token_prices"))
    tier = _mapping(prices.get("default"))
    unit = CREDIT if tier else CREDIT * _NANO  # without tiers, prices are in nano-AIU
    tier = tier or prices
    price_in, price_out = number(tier.get("input_price")), number(tier.get("output_price"))
    if price_in is None or price_out is None:
        return None
    dollars = unit * _MILLION / (number(prices.get("batch_size")) or _MILLION)
    return TokenPrice(price_in * dollars, price_out * dollars)


def multiplier(entry: Mapping[str, Any]) -> float | None:
    """Return how many premium requests a prompt costs, or None if the entry does not say."""
    return number(_mapping(entry.get("billing")).get("multiplier"))


def price_class(entry: Mapping[str, Any]) -> PriceClass | None:
    """Return the price class that GitHub names, or else one based on the price, or None."""
    named = entry.get("model_picker_price_category")
    if isinstance(named, str) and named.upper() in PriceClass.__members__:
        return PriceClass[named.upper()]
    if (price := token_price(entry)) is not None:
        return _class_of(price.output, _OUTPUT_LIMITS)
    if (factor := multiplier(entry)) is not None:
        return _class_of(factor, _MULTIPLIER_LIMITS)
    return None


def _class_of(value: float, limits: tuple[float, ...]) -> PriceClass:
    return PriceClass(1 + sum(value > limit for limit in limits))


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def number(value: object) -> float | None:
    """Return `value` if it is a non-negative number, otherwise None."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        return None
    return float(value)
