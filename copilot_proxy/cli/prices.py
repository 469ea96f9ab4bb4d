"""Formats the prices of models."""

from copilot_proxy.catalogue import Model
from copilot_proxy.model_prices import multiplier


def price_text(model: Model) -> str:
    """Return a model's price, or "" if it is unknown.

    The price is in dollars per million input and output tokens (``$3/$15``), a premium request
    multiplier (``1x``), or ``included``.
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
    """Format a number of dollars.

    Whole numbers have no decimals. Other amounts have two decimals from one cent up, and two
    significant digits below that.
    """
    if dollars >= 0.01:
        return f"{dollars:.2f}".removesuffix(".00")
    return f"{dollars:.2g}" if dollars >= 0.0001 else f"{dollars:.5f}".rstrip("0").rstrip(".")
