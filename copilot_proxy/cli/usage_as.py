"""Computes what the requests in a report would have cost with another model."""

from dataclasses import replace

from copilot_proxy.cli.usage_report import Report
from copilot_proxy.cost.price_list import PriceList, listed_prices
from copilot_proxy.cost.price_table import table_prices
from copilot_proxy.cost.tokens import Tokens
from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.ledger.database import Database
from copilot_proxy.ledger.queries import Filters, Sums, total
from copilot_proxy.ledger.repricing import Uneven, uneven_requests
from copilot_proxy.settings import Settings


def with_prices_of(
    name: str, report: Report, database: Database, filters: Filters, settings: Settings
) -> Report:
    """Return `report` with the costs that the same tokens would have had with the model `name`.

    Raises `CopilotProxyError` if the model's prices are unknown.
    """
    model_id, prices = _prices(name, settings)
    threshold = None if prices.long_context is None else prices.threshold
    uneven = uneven_requests(database, report.group, report.period, filters, threshold)
    rows = [_repriced(row, uneven.get(row.name, Uneven()), prices) for row in report.rows]
    return replace(report, rows=rows, total=total(rows), as_model=model_id)


def _repriced(row: Sums, uneven: Uneven, prices: PriceList) -> Sums:
    """Return the sums of a group with the cost of the same tokens at other prices."""
    long, written_1h = uneven.long, uneven.written_1h
    short = Tokens(
        row.input_tokens - long.input,
        row.cache_read_tokens - long.cache_read,
        row.cache_write_tokens - long.cache_write - long.cache_write_1h - written_1h,
        written_1h,
        row.output_tokens - long.output,
    )
    usual = prices._replace(threshold=None)
    higher = usual._replace(default=prices.long_context or prices.default)
    return row._replace(
        nano_aiu=usual.cost(short) + higher.cost(long),
        unknown_cost_requests=uneven.unknown_requests,
    )


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
    from copilot_proxy.composition import make_connection
    from copilot_proxy.relay.model_resolver import ModelResolver

    async def read(settings: Settings) -> tuple[str, dict[str, object]]:
        connection = make_connection(settings)
        models = ModelResolver(connection.upstream, settings.default_model, settings.aliases)
        try:
            model = await models.model(name)
            return model.id, dict(model.raw)
        finally:
            await connection.aclose()

    with settings_for({}, simulate=settings.simulated) as (at, _):
        return asyncio.run(read(at))
