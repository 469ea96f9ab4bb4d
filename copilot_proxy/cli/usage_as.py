"""Computes what the requests in a report would have cost with another model."""

from collections.abc import Sequence
from dataclasses import replace

from copilot_proxy.cli.usage_report import Report
from copilot_proxy.cost.price_list import PriceList, listed_prices
from copilot_proxy.cost.price_table import table_prices
from copilot_proxy.cost.tokens import Tokens
from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.ledger.database import Database
from copilot_proxy.ledger.queries import Filters, Sums, sums_by_tier, total
from copilot_proxy.settings import Settings


def with_prices_of(
    name: str, report: Report, database: Database, filters: Filters, settings: Settings
) -> Report:
    """Return `report` with the costs that the same tokens would have had with the model `name`.

    Raises `CopilotProxyError` if the model's prices are unknown.
    """
    model_id, prices = _prices(name, settings)
    tiers = sums_by_tier(database, report.group, report.period, filters, prices.threshold)
    costs: dict[str | None, int] = {}
    for row, is_long in tiers:
        costs[row.name] = costs.get(row.name, 0) + _cost(row, prices, is_long=is_long)
    rows: Sequence[Sums] = [
        row._replace(nano_aiu=costs.get(row.name, 0), unknown_cost_requests=0)
        for row in report.rows
    ]
    return replace(report, rows=list(rows), total=total(rows), as_model=model_id)


def _cost(row: Sums, prices: PriceList, *, is_long: bool) -> int:
    tokens = Tokens(
        row.input_tokens, row.cache_read_tokens, row.cache_write_tokens, 0, row.output_tokens
    )
    tier = prices.long_context if is_long and prices.long_context else prices.default
    return prices._replace(default=tier, threshold=None).cost(tokens)


def _prices(name: str, settings: Settings) -> tuple[str, PriceList]:
    """Return a model's id and prices, from Copilot's list or else from the bundled table."""
    try:
        model_id, entry = _listed(name, settings)
    except CopilotProxyError:
        if (table := table_prices(name)) is None:
            raise
        return name, table
    prices = listed_prices(entry) or table_prices(model_id)
    if prices is None:
        raise CopilotProxyError(
            f"The prices of {model_id} are unknown.", hint="See: copilot-proxy models"
        )
    return model_id, prices


def _listed(name: str, settings: Settings) -> tuple[str, dict[str, object]]:
    import asyncio

    from copilot_proxy.cli.simulated_settings import settings_for
    from copilot_proxy.composition import make_backend

    async def read(settings: Settings) -> tuple[str, dict[str, object]]:
        backend = make_backend(settings, report=lambda _: None)
        try:
            model = await backend.relay.models.model(name)
            return model.id, dict(model.raw)
        finally:
            await backend.aclose()

    with settings_for({}, simulate=settings.simulated) as (at, _):
        return asyncio.run(read(at))
