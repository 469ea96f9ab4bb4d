"""The data shown by the ``usage`` command: sums, and the remaining quota."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from typing import Final, get_args

from copilot_proxy.budget.report import LimitState
from copilot_proxy.cost.quota import Quota, runs_out
from copilot_proxy.ledger.cache_queries import NextTurn
from copilot_proxy.ledger.database import Database
from copilot_proxy.ledger.periods import Period, this_month, today
from copilot_proxy.ledger.queries import Filters, Group, Sums, latest_quota, sums_by, total
from copilot_proxy.ledger.schema import CALLER

_MAX_NAMES: Final = 5
"""Maximum number of names to suggest instead of an unknown one."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """Sums by group for a period."""

    group: Group
    period: Period
    rows: list[Sums]
    total: Sums
    today: Sums
    month: Sums
    """This month's sums, with the same filters as `today`."""
    quota: Quota | None
    quota_at: datetime | None
    """When Copilot reported the quota."""
    now: datetime
    limits: Sequence[LimitState] = ()
    """The limits of the budget."""
    of_callers: Sums | None = None
    """The part of `total` that was charged to other accounts because clients sent their own GitHub
    tokens."""
    next_turns: Sequence[NextTurn] = ()
    """The cost of the next turn of each recent session, latest session first."""
    as_model: str | None = None
    """The model whose prices were used instead of the actual ones, or None."""
    old_prices: str | None = None
    """The date of these prices, as ``YYYY-MM-DD``, or None if they are current."""

    @property
    def runs_out_at(self) -> datetime | None:
        """When the quota will run out at this month's pace, or None if it lasts until its reset."""
        return runs_out(self.quota, self.now) if self.quota else None


def read(database: Database, group: Group, period: Period, filters: Filters) -> Report:
    """Read a report from the ledger."""
    now = datetime.now().astimezone()
    rows = sums_by(database, group, period, filters)
    quota, quota_at = latest_quota(database) or (None, None)
    if quota is not None and quota.was_reset(now):
        quota = quota_at = None  # Copilot has not reported the quota since its reset
    return Report(
        group=group,
        period=period,
        rows=rows,
        total=total(rows),
        of_callers=total(sums_by(database, group, period, filters._replace(account=CALLER))),
        today=total(sums_by(database, "day", today(now), filters)),
        month=total(sums_by(database, "month", this_month(now), filters)),
        quota=quota,
        quota_at=quota_at,
        now=now,
    )


def unknown_names(database: Database, filters: Filters) -> list[str]:
    """Return a sentence for each name in `filters` that is not in the ledger.

    Each sentence suggests similar names, or the names with the highest costs if none are similar.
    """
    sentences = []
    groups: tuple[Group, ...] = get_args(Group)
    for group in groups:
        wanted = filters._asdict().get(group)
        if not wanted:
            continue
        known = [row.name for row in sums_by(database, group, Period(), Filters()) if row.name]
        if wanted in known or not known:
            continue
        similar = [name for name in known if wanted.lower() in name.lower()]
        near = similar or get_close_matches(wanted, known) or known
        names = ", ".join(near[:_MAX_NAMES])
        sentences.append(f"There are no requests with the {group} {wanted!r}. Try: {names}")
    return sentences
