"""The bundled price table, used only if neither Copilot's answer nor its model list has prices.

Prices change within weeks, so the table has a date, which is stored with every cost based on it.
"""

from functools import cache
from pathlib import Path
from typing import Any, Final

import msgspec

from copilot_proxy.cost.price_list import PriceList, listed_prices

_FILE: Final = Path(__file__).with_name("price_table.json")


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = msgspec.json.decode(_FILE.read_bytes())
    return table


def table_date() -> str:
    """Return the date of the table, as ``YYYY-MM-DD``."""
    return str(_table()["date"])


@cache
def table_prices(model_id: str) -> PriceList | None:
    """Return the prices of the model with exactly this id, or None if it is not in the table."""
    prices = _table()["models"].get(model_id)
    return listed_prices({"billing": {"token_prices": prices}}) if prices else None
