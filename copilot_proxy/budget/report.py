"""Computes how much of each limit is used, for the commands that show it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from copilot_proxy.budget.limits_file import Limits, days_of
from copilot_proxy.cost.limits import Limit
from copilot_proxy.cost.nano_aiu import credits
from copilot_proxy.ledger.database import Database
from copilot_proxy.ledger.limit_states import costliest_session, state
from copilot_proxy.ledger.periods import this_month, today


class LimitState(NamedTuple):
    """A limit and how much of it is used; amounts are in nano-AIU."""

    limit: Limit
    allowed: int
    """The limit including its raises."""
    spent: int
    """The amount spent today or this month or, for a limit per session, by today's most expensive
    session."""
    reserved: int
    resets_at: datetime | None
    """When the limit resets; None for a limit per session."""

    @property
    def left(self) -> int:
        """The amount that may still be spent."""
        return max(0, self.allowed - self.spent - self.reserved)

    def as_json(self) -> dict[str, Any]:
        """Return the JSON object that ``--json`` shows."""
        limit = self.limit
        return {
            "per": limit.per,
            "scope": {limit.kind: limit.name} if limit.kind else None,
            "credits": credits(self.allowed),
            "spent": credits(self.spent),
            "reserved": credits(self.reserved),
            "left": credits(self.left),
            "resets_at": self.resets_at.isoformat() if self.resets_at else None,
        }


def limit_states(database: Database, limits: Limits, now: datetime) -> Sequence[LimitState]:
    """Return how much of each limit is used; `now` must have a time zone."""
    day, month = days_of(now)
    found = []
    for limit in limits.limits:
        session = costliest_session(database, limit, day) if limit.per == "session" else ""
        used = state(database, limit, day, month, session)
        allowed = limits.allowed(limit, now)
        found.append(LimitState(limit, allowed, used.spent, used.reserved, _reset(limit, now)))
    return found


def _reset(limit: Limit, now: datetime) -> datetime | None:
    if limit.per == "day":
        return today(now.astimezone()).until
    return this_month(now).until if limit.per == "month" else None
