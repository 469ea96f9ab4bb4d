"""Computes what the requests in a report would have cost with another model."""

from dataclasses import replace

from copilot_proxy.cli.usage_report import Report
from copilot_proxy.cost.price_list import PriceList, listed_prices
from copilot_proxy.cost.price_table import table_prices
from copilot_proxy.cost.tokens import Tokens
from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.ledger.database import Database
from copilot_proxy.ledger.queries import Filters, TierSums, sums_by_tier, total
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
    unknown: dict[str | None, int] = {}
    for tier in tiers:
        group = tier.sums.name
        costs[group] = costs.get(group, 0) + _cost(tier, prices)
        unknown[group] = unknown.get(group, 0) + tier.sums.unknown_cost_requests
    rows = [
        row._replace(
            nano_aiu=costs.get(row.name, 0), unknown_cost_requests=unknown.get(row.name, 0)
        )
        for row in report.rows
    ]
    return replace(report, rows=rows, total=total(rows), as_model=model_id)


def _cost(found: TierSums, prices: PriceList) -> int:
    row, written_1h = found.sums, found.written_1h
    tokens = Tokens(
        row.input_tokens,
        row.cache_read_tokens,
        row.cache_write_tokens - written_1h,
        written_1h,
        row.output_tokens,
    )
    tier = prices.long_context if found.is_long and prices.long_context else prices.default
    return prices._replace(default=tier, threshold=None).cost(tokens)


def _prices(name: str, settings: Settings) -> tuple[str, PriceList]:
    """Return a model's id and prices, from Copilot's list if possible, otherwise from the bundled
    table."""
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
