"""What a model costs, in few characters."""

from collections.abc import Mapping
from typing import Any, Final

from copilot_proxy.catalogue import Model

_MILLION: Final = 1_000_000
_CREDIT: Final = 0.01
"""Dollars; the token prices are in GitHub's AI credits."""


def price_text(model: Model) -> str:
    """Dollars for a million tokens in and out, or the multiplier of a premium request; "" where
    the list is silent."""
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
    """Whether using it takes nothing from the quota."""
    return price_text(model) == "included"


def credits_text(credits: float) -> str:
    """``0.112 AI credits ($0.0011)``."""
    return f"{credits:.3g} AI credits (${_short(credits * _CREDIT)})"


def _short(dollars: float) -> str:
    """Two decimals for prices above a cent, two digits for less; none for whole dollars."""
    if dollars >= 0.01:
        return f"{dollars:.2f}".removesuffix(".00")
    return f"{dollars:.2g}" if dollars >= 0.0001 else f"{dollars:.5f}".rstrip("0").rstrip(".")


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        return None
    return float(value)
