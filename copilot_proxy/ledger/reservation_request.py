"""The data that the budget passes to the ledger to reserve amounts.

This module does not load SQLite.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from copilot_proxy.cost.limits import Limit

FLUSH_SECONDS: Final = 0.02
"""Seconds until all processes see the cost of a completed request."""


class Sender(NamedTuple):
    """The sender, the model and the API of a request, which determine its limits."""

    key: str | None
    client: str | None
    project: str | None
    session: str | None
    model: str | None
    api: str


Used = tuple[int, int]
"""The amount spent and the amount reserved, in nano-AIU."""


class Refusal(NamedTuple):
    """A limit that a request would exceed."""

    limit: Limit
    allowed: int
    """The amount in nano-AIU that the limit currently allows."""
    used: Used
    """Completed requests count as spent, even if they have no rows yet."""
    missing: int
    """By how many nano-AIU the limits of the same scope must be raised so that the request fits."""


class LimitUse(NamedTuple):
    """A limit, and the amounts in nano-AIU that count toward it."""

    limit: Limit
    allowed: int
    spent: int
    reserved: list[int]
    """A list with one amount, so that it can be changed in place."""


class Prepared(NamedTuple):
    """The reserver's data for a plan; see `reservation_plan`."""

    spent: object
    """The `version` of `SpentSums` when the spent amounts were read."""
    sums: object
    """The `ReservedSums` that contain `totals` and the `reserved` lists of `uses`."""
    uses: Sequence[LimitUse]
    totals: Sequence[list[int]]
    """The totals that a reservation must be added to."""
    common: bytes
    """The encoded `Common`, as stored in a slot."""


class Plan:
    """The data shared by a sender's requests, as long as the limits and the day stay the same.

    A plan is kept because most requests resemble an earlier request.
    """

    __slots__ = ("day", "limits", "month", "prepared", "sender")

    def __init__(
        self, sender: Sender, limits: Sequence[tuple[Limit, int]], day: str, month: str
    ) -> None:
        """`limits` are the limits that apply, each with the nano-AIU that it currently allows.
        `day` is the current day in local time, and `month` the current month in UTC."""
        self.sender = sender
        self.limits = limits
        self.day = day
        self.month = month
        self.prepared: Prepared | None = None
        """Set and used by the reserver."""

    def period(self, limit: Limit) -> str:
        """Return the plan's day, month or session, depending on the period of `limit`."""
        if limit.per == "session":
            return self.sender.session or ""
        return self.day if limit.per == "day" else self.month
