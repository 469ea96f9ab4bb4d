"""Reads the account's remaining quota from the headers of Copilot's answers.

Every answer has headers such as ``x-quota-snapshot-premium_interactions:
ent=300&ov=0.0&ovPerm=false&rem=87.3&rst=2026-12-01T00%3A00%3A00Z``, where ``rem`` is a percentage.
The quota is therefore known without a separate request.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import parse_qsl

_PREFIX: Final = "x-quota-snapshot-"
METERS: Final = ("premium_models", "premium_interactions", "chat")
"""The quotas that may apply to a plan, in order of precedence; ``chat`` counts only if a plan has
none of the others."""
_MIN_ELAPSED: Final = timedelta(days=1)
"""The pace is not computed until this much of the month has passed."""


class Quota(NamedTuple):
    """The quota that applies to the account, as reported with an answer."""

    unit: str
    """``AI credits``, ``premium requests`` or ``chat messages``."""
    entitlement: float
    """The amount that the plan includes each month; -1 if this seat has no individual quota."""
    percent_left: float
    """Negative if more has been used than the plan includes."""
    overage: float
    """The amount used beyond the plan."""
    resets_at: datetime | None

    @property
    def unlimited(self) -> bool:
        """Whether this seat has no individual quota."""
        return self.entitlement < 0

    def was_reset(self, now: datetime) -> bool:
        """Return whether the quota has been reset since the answer, making these amounts stale."""
        return self.resets_at is not None and self.resets_at <= now

    @property
    def left(self) -> float | None:
        """The remaining amount in `unit`, or None if this seat has no individual quota."""
        return None if self.unlimited else round(self.entitlement * self.percent_left / 100, 9)

    @property
    def used(self) -> float | None:
        """The amount in `unit` used since the last reset, or None if this seat has no individual
        quota."""
        if self.unlimited:
            return None
        used = self.entitlement * (100 - max(self.percent_left, 0)) / 100 + self.overage
        return round(used, 9)  # without the noise of floats, such as 8.999999999999842


def quota_unit(snapshot: str, *, token_based: bool) -> str:
    """Return the unit of a quota from the name of its snapshot. `token_based` is True if the
    account is billed per token."""
    if token_based:
        return "AI credits"
    return "chat messages" if snapshot == "chat" else "premium requests"


def quota_of(headers: Mapping[str, str], *, token_based: bool = False) -> Quota | None:
    """Return the quota that applies to the account, or None if the headers do not contain it.

    `token_based` is True if the account is known to be billed per token; the headers do not always
    say so.
    """
    found = {}
    for name in METERS:
        text = headers.get(_PREFIX + name)
        if text and (quota := _parse(text, name, token_based)) is not None:
            found[name] = quota
    meter = metering({name: quota.entitlement for name, quota in found.items()})
    return found[meter] if meter else None


def metering(entitlements: Mapping[str, float | None]) -> str | None:
    """Return the name of the quota that applies to an account, or None if none does.

    `entitlements` maps the name of each quota to the included amount. A negative amount means that
    the seat has no individual quota.
    """
    # A plan that is metered by chat messages includes no premium requests.
    for suits in (_is_positive, _is_unlimited):
        for name in METERS:
            amount = entitlements.get(name)
            if amount is not None and suits(amount):
                return name
    return None


def _is_positive(entitlement: float) -> bool:
    return entitlement > 0


def _is_unlimited(entitlement: float) -> bool:
    return entitlement < 0


def runs_out(quota: Quota, now: datetime) -> datetime | None:
    """Return when the quota runs out at this month's pace.

    Returns None if the quota lasts until the reset, or if the pace is unknown. If the quota is used
    up already, returns `now`, even if the time of the reset is unknown.
    """
    left, used = quota.left, quota.used
    if left is None or used is None:
        return None
    if left <= 0:
        return now
    if quota.resets_at is None:
        return None
    if used <= 0 or is_too_early(quota, now):
        return None
    elapsed = now - _month_before(quota.resets_at)
    end = now + elapsed * (left / used)
    return end if end < quota.resets_at else None


def is_too_early(quota: Quota, now: datetime) -> bool:
    """Return whether too little of the month has passed to know this month's pace."""
    return quota.resets_at is not None and now - _month_before(quota.resets_at) < _MIN_ELAPSED


def _month_before(moment: datetime) -> datetime:
    last = moment.replace(day=1) - timedelta(days=1)
    return last.replace(day=min(moment.day, last.day))


@lru_cache(maxsize=64)  # most answers repeat the previous values
def _parse(text: str, name: str, token_based: bool) -> Quota | None:
    values = dict(parse_qsl(text))
    entitlement, percent = _number(values.get("ent")), _number(values.get("rem"))
    if entitlement is None or percent is None:
        return None
    return Quota(
        quota_unit(name, token_based=token_based or values.get("tbb", "").lower() == "true"),
        entitlement,
        percent,
        _number(values.get("ov")) or 0.0,
        _time(values.get("rst")),
    )


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if -1e12 < value < 1e12 else None


def _time(text: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
