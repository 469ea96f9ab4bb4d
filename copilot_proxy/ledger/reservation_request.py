"""What the budget asks the ledger to reserve for a request; loaded without SQLite."""

from collections.abc import Sequence
from typing import NamedTuple

from copilot_proxy.cost.limits import Limit
from copilot_proxy.relay.records import RequestRecord


class ReservationRequest(NamedTuple):
    """A request, and the limits that it has to fit."""

    record: RequestRecord
    cost: int
    """What it may cost, in nano-AIU."""
    limits: Sequence[tuple[Limit, int]]
    """The limits that apply to the request, with what they allow now, in nano-AIU."""
    day: str
    """Today, in local time."""
    month: str
    """This month, in UTC."""
