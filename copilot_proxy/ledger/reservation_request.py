"""What the budget asks the ledger to reserve for requests; loaded without SQLite."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from copilot_proxy.cost.limits import Limit

FLUSH_SECONDS: Final = 0.02
"""Seconds until all processes know what a completed request has cost."""


class Sender(NamedTuple):
    """What decides which limits apply to a request, and what else a reservation says about it."""

    key: str | None
    client: str | None
    project: str | None
    session: str | None
    model: str | None
    api: str


class LimitUse(NamedTuple):
    """How much of a limit is used; amounts are in nano-AIU."""

    limit: Limit
    allowed: int
    spent: int
    reserved: list[int]
    """One amount, which changes."""


class Prepared(NamedTuple):
    """What the reserver knows about a plan; see `reservation_plan`."""

    spent: object
    """The version of what is spent."""
    sums: object
    """The sums of what is reserved, from which the lists are."""
    uses: Sequence[LimitUse]
    totals: Sequence[list[int]]
    """The amounts to which a reservation has to be added."""
    common: bytes
    """What the reservations have in common, as it is in the file."""


class Plan:
    """What the requests of one sender have in common while neither the limits nor the day change.

    It is made once for them, since most requests are like one shortly before.
    """

    __slots__ = ("day", "limits", "month", "prepared", "sender")

    def __init__(
        self, sender: Sender, limits: Sequence[tuple[Limit, int]], day: str, month: str
    ) -> None:
        """`limits` are those that apply, with what they allow now, in nano-AIU; `day` is today in
        local time, and `month` this month in UTC."""
        self.sender = sender
        self.limits = limits
        self.day = day
        self.month = month
        self.prepared: Prepared | None = None
        """Set and used by the reserver."""

    def period(self, limit: Limit) -> str:
        """Return the day, month or session for which a request counts towards a limit."""
        if limit.per == "session":
            return self.sender.session or ""
        return self.day if limit.per == "day" else self.month
