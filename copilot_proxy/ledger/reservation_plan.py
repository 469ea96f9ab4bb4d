"""Prepares a plan, so that its reservations can be made quickly.

The result is valid until new rows are written or the reservations are summed up again.
"""

import sqlite3
from collections.abc import Collection, Sequence

from copilot_proxy.ledger.limit_states import SpentSums
from copilot_proxy.ledger.reservation import common_of, target_of
from copilot_proxy.ledger.reservation_request import LimitUse, Plan, Prepared
from copilot_proxy.ledger.reservation_slots import encode
from copilot_proxy.ledger.reserved_sums import ReservedSums
from copilot_proxy.ledger.slot_table import SlotTable


def prepared(
    plan: Plan, database: sqlite3.Connection, spent: SpentSums, sums: ReservedSums
) -> Prepared:
    """Prepare a plan, and return the result, which is also stored in the plan. Raises
    `sqlite3.Error`."""
    common = common_of(plan)
    day, month, session = plan.day, plan.month, plan.sender.session or ""
    uses = [
        LimitUse(
            limit,
            allowed,
            spent.of(database, limit, day, month, session),
            sums.of(target_of(limit, day, month, session)),
        )
        for limit, allowed in plan.limits
    ]
    totals = sums.totals(common.group)
    plan.prepared = Prepared(spent.version, sums, uses, totals, encode(common))
    return plan.prepared


def reduced(
    uses: Sequence[LimitUse], guess: int, least: int, table: SlotTable, ended: Collection[str]
) -> int:
    """Return the amount to reserve for a request whose cost is only a `guess`.

    A limit below the guess would not allow any request, so nothing would be learned about the
    actual cost. The guess is therefore reduced to what is left of the limits, if that is at least
    `least`. It is not reduced while there are reservations of requests that have not `ended`, since
    their cost is not known yet.
    """
    if all(guess <= use.allowed for use in uses):
        return guess
    if any(use.reserved[0] != table.amount(ended, use.reserved) for use in uses):
        return guess
    left = min(use.allowed - use.spent - use.reserved[0] for use in uses)
    return min(guess, left) if left >= least else guess
