"""What the budget asks the ledger to reserve for a request; loaded without SQLite."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from copilot_proxy.cost.limits import Limit
from copilot_proxy.relay.records import RequestRecord

FLUSH_SECONDS: Final = 0.005
"""Until all processes know what a request has cost that has ended."""


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
