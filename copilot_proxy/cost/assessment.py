"""Determines what a request cost, and where that number comes from.

The sources, most reliable first, are the total that Copilot reports, the sum of the details that it
reports, the prices in its model list, and the bundled price table. Without any of these, the cost
is unknown, which is not the same as zero.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple

from copilot_proxy.cost.nano_aiu import reported_total, sum_of_details
from copilot_proxy.cost.price_list import PriceList
from copilot_proxy.cost.price_table import table_date, table_prices
from copilot_proxy.cost.tokens import Tokens, from_details, from_usage

Source = Literal["reported", "details", "models", "table", "estimated", "free", "unknown"]
"""The source of a cost. ``estimated``: Copilot sent no token counts, so they
were estimated. ``free``: nothing was charged, for example for a refused request."""

_SOURCE_TEXTS: Final[Mapping[str, str]] = {
    "reported": "as reported by Copilot",
    "details": "the sum of the details that Copilot reported",
    "models": "calculated from the prices in Copilot's list of models",
    "table": "calculated from the bundled price table",
    "estimated": "estimated, because the answer was incomplete or had no token counts",
    "free": "nothing was charged",
    "unknown": "Copilot did not report it, and the model's price or the tokens are unknown",
}


class Cost(NamedTuple):
    """The cost of a request."""

    nano: int | None
    """In nano-AIU; None if unknown."""
    source: Source
    tokens: Tokens | None = None
    tier: str | None = None
    """``default`` or ``long_context``, if the prices have tiers."""
    price_date: str | None = None
    """The date of the bundled table, if it was used."""


FREE = Cost(0, "free")


def source_text(source: str, price_date: str | None) -> str:
    """Explain the source of a cost. The text is shown after an amount and a colon.

    `price_date` is the date of the bundled table, or None if it was not used.
    """
    text = _SOURCE_TEXTS.get(source, source)
    if price_date is None:
        return text
    if source == "table":
        return f"{text} of {price_date}"
    return f"{text}; the prices are from the bundled price table of {price_date}"


def assess(
    model_id: str | None,
    prices: PriceList | None,
    usage: Mapping[str, Any] | None,
    copilot_usage: Mapping[str, Any] | None,
) -> Cost:
    """Return the cost of an answer with complete token counts.

    `prices` are the model's prices in Copilot's list, `usage` is in the format of Chat Completions,
    and `copilot_usage` is as Copilot sent it. Each of them is None if unknown.
    """
    tokens = from_details(copilot_usage, usage) or from_usage(usage)
    tier = prices.tier(tokens.prompt) if prices is not None and tokens is not None else None
    if (total := reported_total(copilot_usage)) is not None:
        return Cost(total, "reported", tokens, tier)
    if (from_parts := sum_of_details(copilot_usage)) is not None:
        return Cost(from_parts, "details", tokens, tier)
    if tokens is None:
        return Cost(None, "unknown")
    return priced(tokens, model_id, prices)


def estimated(model_id: str | None, prices: PriceList | None, tokens: Tokens) -> Cost:
    """Return the cost of an answer whose token counts have been estimated."""
    cost = priced(tokens, model_id, prices)
    return cost if cost.nano is None else cost._replace(source="estimated")


def priced(tokens: Tokens, model_id: str | None, prices: PriceList | None) -> Cost:
    """Return the cost of `tokens` at `prices`, or at the bundled table's prices if `prices` is
    None."""
    if prices is not None:
        nano = prices.cost(tokens)
        return Cost(nano, "models", tokens, prices.tier(tokens.prompt))
    table = table_prices(model_id) if model_id else None
    if table is None:
        return Cost(None, "unknown", tokens)
    nano = table.cost(tokens)
    return Cost(nano, "table", tokens, table.tier(tokens.prompt), table_date())
