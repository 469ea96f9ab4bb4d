"""Formats the prices of models and the cost of requests."""

from collections.abc import Mapping
from typing import Any, Final

from copilot_proxy.catalogue import Model

_MILLION: Final = 1_000_000
_CREDIT: Final = 0.01
"""The price of an AI credit in dollars; GitHub's token prices are in AI credits."""


def price_text(model: Model) -> str:
    """Return a model's price: dollars per million tokens in and out, such as ``$3/$15``, or the
    multiplier of a premium request, such as ``1x``, or ``included``; "" if it is unknown."""
    billing = _mapping(model.raw.get("billing"))
    prices = _mapping(billing.get("token_prices"))
    tier = _mapping(prices.get("default")) or prices
    price_in, price_out = _number(tier.get("input_price")), _number(tier.get("output_price"))
    if price_in is not None and price_out is not None:
        if not price_in and not price_out:
            return "included"
        batch = _number(prices.get("batch_size")) or _MILLION
        dollars = _CREDIT * _MILLION / batch
        return f"${_short(price_in * dollars)}/${_short(price_out * dollars)}"
    multiplier = _number(billing.get("multiplier"))
    if multiplier is None:
        return ""
    return f"{multiplier:g}x" if multiplier else "included"


def is_included(model: Model) -> bool:
    """Return whether the model costs nothing and uses no quota."""
    return price_text(model) == "included"


def credits_text(credits: float) -> str:
    """Format an amount of AI credits, such as ``0.112 AI credits ($0.0011)``."""
    return f"{credits:.3g} AI credits (${_short(credits * _CREDIT)})"


def _short(dollars: float) -> str:
    """Format dollars: two decimals from a cent up, none if whole, else two significant digits."""
    if dollars >= 0.01:
        return f"{dollars:.2f}".removesuffix(".00")
    return f"{dollars:.2g}" if dollars >= 0.0001 else f"{dollars:.5f}".rstrip("0").rstrip(".")


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        return None
    return float(value)
