"""Prepares a plan, so that its reservations can be made quickly.

The result is valid until rows are written or the reservations are summed up again.
"""

import sqlite3

from copilot_proxy.ledger.limit_states import SpentSums
from copilot_proxy.ledger.reservation import common_of, target_of
from copilot_proxy.ledger.reservation_request import LimitUse, Plan, Prepared
from copilot_proxy.ledger.reservation_slots import encode
from copilot_proxy.ledger.reserved_sums import ReservedSums


def prepared(
    plan: Plan, database: sqlite3.Connection, spent: SpentSums, sums: ReservedSums
) -> Prepared:
    """Prepare a plan, store the result in it and return it; raises `sqlite3.Error`."""
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
