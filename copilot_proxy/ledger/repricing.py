"""Reads what is needed, besides the sums, to compute what requests would cost with another model.

Most requests can be priced from the sums. The others have a long prompt, which may cost more per
token, or wrote to the one-hour cache, or have an unknown cost. An index covers only these requests.
"""

import sqlite3
from typing import Final, NamedTuple

from copilot_proxy.cost.tokens import Tokens
from copilot_proxy.ledger.periods import Period
from copilot_proxy.ledger.queries import Filters, Group, selection, week_of
from copilot_proxy.ledger.schema import LONG_PROMPT, PROMPT, UNEVEN
from copilot_proxy.ledger.sources import conditions

_TOKENS: Final = (
    *("input_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens"),
    "output_tokens",
)
"""The columns that hold the fields of `Tokens`, except `reasoning`."""
_NEVER: Final = 2**62
"""A threshold that no prompt exceeds."""


class Uneven(NamedTuple):
    """The sums of those requests in a group that cannot be priced from the table `sums`."""

    long: Tokens = Tokens()
    """The tokens of all requests whose prompts are longer than the threshold."""
    written_1h: int = 0
    """The tokens that all other requests wrote to the one-hour cache."""
    unknown_requests: int = 0
    """The number of requests whose tokens and cost are unknown."""


def uneven_requests(
    database: sqlite3.Connection,
    group: Group,
    period: Period,
    filters: Filters,
    threshold: int | None,
) -> dict[str | None, Uneven]:
    """Return, by group name, the sums of the requests that cannot be priced from the table `sums`.

    Prompts with more than `threshold` tokens have prices of their own.
    """
    longest = _NEVER if threshold is None else threshold
    is_uneven = UNEVEN if longest >= LONG_PROMPT else "true"
    where, values = selection([*conditions(period), is_uneven], filters)
    found = database.execute(
        f"SELECT ifnull({'day' if group == 'week' else group}, ''), {PROMPT} > ?, "  # noqa: S608  # constants
        "sum(nano_aiu IS NULL AND input_tokens IS NULL AND corrects IS NULL), "
        f"{', '.join(f'sum(ifnull({name}, 0))' for name in _TOKENS)} "
        f"FROM requests {where} GROUP BY 1, 2",
        (longest, *values),
    )
    uneven: dict[str | None, Uneven] = {}
    for name, is_long, unknown, *counts in found:
        group_name = week_of(name) if group == "week" else name or None
        long, written_1h, known = uneven.get(group_name, Uneven())
        tokens = Tokens(*counts)
        if is_long:
            long = Tokens(*map(int.__add__, long, tokens))
        else:
            written_1h += tokens.cache_write_1h
        uneven[group_name] = Uneven(long, written_1h, known + unknown)
    return uneven
