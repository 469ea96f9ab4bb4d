"""Formats the prices of models."""

from copilot_proxy.catalogue import Model
from copilot_proxy.model_prices import multiplier


def price_text(model: Model) -> str:
    """Return a model's price, or "" if it is unknown.

    It is the price per million input and output tokens (``$3/$15``), a premium request multiplier
    (``1x``), or ``included``.
    """
    if (price := model.token_price) is not None:
        if not any(price):
            return "included"
        return f"${_short(price.input)}/${_short(price.output)}"
    factor = multiplier(model.raw)
    if factor is None:
        return ""
    return f"{factor:g}x" if factor else "included"


def is_included(model: Model) -> bool:
    """Return whether the model is free and uses no quota."""
    return price_text(model) == "included"


def _short(dollars: float) -> str:
    """Format an amount in dollars.

    From one cent up, it has two decimals, or none if both are zero. Below that, it has up to two
    significant digits and up to five decimals.
    """
    if dollars >= 0.01:
        return f"{dollars:.2f}".removesuffix(".00")
    return f"{dollars:.2g}" if dollars >= 0.0001 else f"{dollars:.5f}".rstrip("0").rstrip(".")
