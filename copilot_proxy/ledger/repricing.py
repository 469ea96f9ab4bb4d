"""Reads the tokens of long prompts, for which a model may charge a higher price.

All other requests can be priced from the sums. An index covers only requests with long prompts.
"""

import sqlite3
from typing import Final

from copilot_proxy.cost.tokens import Tokens
from copilot_proxy.ledger.periods import Period
from copilot_proxy.ledger.queries import Filters, Group, selection, week_of
from copilot_proxy.ledger.schema import LONG_PROMPT, PROMPT
from copilot_proxy.ledger.sources import conditions

_TOKENS: Final = (
    *("input_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens"),
    "output_tokens",
)
"""The columns that hold the fields of `Tokens`, except `reasoning`."""


def long_prompts(
    database: sqlite3.Connection, group: Group, period: Period, filters: Filters, threshold: int
) -> dict[str | None, Tokens]:
    """Return, by group name, the tokens of all requests whose prompts have more than `threshold`
    tokens."""
    is_long = [f"{PROMPT} > {threshold}"]
    if threshold > LONG_PROMPT:
        is_long.append(f"{PROMPT} > {LONG_PROMPT}")  # SQLite only uses the index with its condition
    where, values = selection([*conditions(period), *is_long], filters)
    found = database.execute(
        f"SELECT ifnull({'day' if group == 'week' else group}, ''), "  # noqa: S608  # constants
        f"{', '.join(f'sum(ifnull({name}, 0))' for name in _TOKENS)} "
        f"FROM requests {where} GROUP BY 1",
        values,
    )
    long: dict[str | None, Tokens] = {}
    for name, *counts in found:
        group_name = week_of(name) if group == "week" else name or None
        long[group_name] = Tokens(*map(int.__add__, long.get(group_name, Tokens()), (*counts, 0)))
    return long
