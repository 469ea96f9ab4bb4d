"""Computes what the requests in a report would have cost with another model."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from copilot_proxy.catalogue import Model
from copilot_proxy.cli import model_list_file
from copilot_proxy.cli.usage_report import Report
from copilot_proxy.cost.price_list import PriceList, listed_prices
from copilot_proxy.cost.price_table import table_date, table_prices
from copilot_proxy.cost.tokens import Tokens
from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.ledger.database import Database
from copilot_proxy.ledger.queries import Filters, Sums, total
from copilot_proxy.ledger.repricing import long_prompts
from copilot_proxy.model_names import resolve, without_alias
from copilot_proxy.settings import Settings

_FRESH: Final = timedelta(days=1)
"""The age up to which a stored model list is used without asking Copilot for a new one."""


def with_prices_of(
    name: str, report: Report, database: Database, filters: Filters, settings: Settings
) -> Report:
    """Return `report` with the costs that the same tokens would have had with the model `name`.

    Raises `CopilotProxyError` if the model's prices are unknown.
    """
    model_id, prices, old = _prices(name, settings)
    long: dict[str | None, Tokens] = {}
    if prices.long_context is not None and prices.threshold is not None:
        long = long_prompts(database, report.group, report.period, filters, prices.threshold)
    rows = [_repriced(row, long.get(row.name, Tokens()), prices) for row in report.rows]
    return replace(report, rows=rows, total=total(rows), as_model=model_id, old_prices=old)


def _repriced(row: Sums, long: Tokens, prices: PriceList) -> Sums:
    """Return the sums of a group with the cost of the same tokens at other prices. `long` are the
    tokens of prompts that have the price of the long context."""
    written = row.cache_write_tokens - row.cache_write_1h_tokens
    short = Tokens(
        row.input_tokens - long.input,
        row.cache_read_tokens - long.cache_read,
        written - long.cache_write,
        row.cache_write_1h_tokens - long.cache_write_1h,
        row.output_tokens - long.output,
    )
    usual = prices._replace(threshold=None)
    cost = usual.cost(short)
    if long.prompt and prices.long_context is not None:
        cost += usual._replace(default=prices.long_context).cost(long)
    return row._replace(nano_aiu=cost, unknown_cost_requests=row.unknown_tokens_requests)


def _prices(name: str, settings: Settings) -> tuple[str, PriceList, str | None]:
    """Return a model's id and prices.

    If Copilot's list cannot be read, the prices come from the last stored list or from the bundled
    table, and their date is returned as well.
    """
    host = str(urlsplit(settings.github_url).hostname)
    stored = None if settings.simulated else model_list_file.load(settings.state_dir, host)
    known = None
    if stored is not None:
        target, default = (
            without_alias(one, settings.aliases) for one in (name, settings.default_model)
        )
        known = resolve(stored.catalogue, target, default)
        age = datetime.now(UTC) - stored.at
        if known is not None and timedelta(0) <= age < _FRESH:
            return *_listed_prices(known.model), None
    try:
        model, date = _current(name, settings, host), None
    except CopilotProxyError:
        if stored is not None and known is not None:
            model, date = known.model, f"{stored.at.astimezone():%Y-%m-%d}"
        elif (table := table_prices(name)) is not None:
            return name, table, table_date()
        else:
            raise
    return *_listed_prices(model), date


def _listed_prices(model: Model) -> tuple[str, PriceList]:
    """Return the id and the prices of a listed model. Raises `CopilotProxyError` if its prices are
    unknown."""
    prices = listed_prices(model.raw) or table_prices(model.id)
    if prices is None:
        raise CopilotProxyError(
            f"The prices of {model.id} are unknown.", hint="See: copilot-proxy models"
        )
    return model.id, prices


def _current(name: str, settings: Settings, host: str) -> Model:
    """Return a model from Copilot's current list, and store the list."""
    import asyncio

    from copilot_proxy.cli.simulated_settings import settings_for
    from copilot_proxy.composition import make_connection
    from copilot_proxy.relay.model_resolver import ModelResolver

    async def read(at: Settings) -> Model:
        connection = make_connection(at)
        models = ModelResolver(connection.upstream, at.default_model, at.aliases)
        try:
            catalogue = await models.catalogue()
            if not at.simulated:
                model_list_file.save(at.state_dir, host, catalogue)
            return await models.model(name)
        finally:
            await connection.aclose()

    with settings_for({}, simulate=settings.simulated) as (at, _):
        return asyncio.run(read(at))
