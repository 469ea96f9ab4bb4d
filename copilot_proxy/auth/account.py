"""The account's plan and quota, parsed leniently from ``/copilot_internal/user``."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

from copilot_proxy.cost.quota import METERS, metering, quota_unit

_PLANS: Final = (
    # The first part found in the SKU determines the plan, so the order matters.
    ("no_auth", "none"),
    ("no_access", "none"),
    ("free_educational", "Pro for students and teachers"),
    ("free", "Free"),
    ("plus_", "Pro+"),
    ("max_", "Max"),
    ("business", "Business"),
    ("enterprise_managed", "none (enterprise-managed account without a seat)"),
    ("enterprise", "Enterprise"),
    ("subscriber", "Pro"),
    ("trial", "Pro (trial)"),
)
_PLANS_BY_NAME: Final = {
    "free": "Free",
    "individual": "Individual",
    "individual_pro": "Pro+",
    "individual_max": "Max",
    "business": "Business",
    "enterprise": "Enterprise",
}


@dataclass(frozen=True)
class AccountQuota:
    """The quota that limits the plan. None stands for an unknown number, or for no quota."""

    unit: str
    """``chat messages``, ``premium requests`` or ``AI credits`` (1 credit is 0.01 US dollars)."""
    entitlement: float | None
    remaining: float | None
    percent_remaining: float | None
    """From 0 to 100; negative if more was used than the plan includes."""
    unlimited: bool
    """Whether this seat has no individual quota; `used_up` then refers to the shared pool."""
    used_up: bool
    overage_permitted: bool
    """Whether requests are still accepted, at extra cost, when the quota is used up."""
    overage_count: float


@dataclass(frozen=True)
class Account:
    """A GitHub account with its Copilot plan. `api_url` is GitHub's value, not yet checked."""

    login: str | None
    sku: str | None
    plan: str
    chat_enabled: bool | None
    api_url: str | None
    quota: AccountQuota | None
    resets_on: date | None


def parse_account(payload: Mapping[str, object]) -> Account:
    """Parse the response of ``/copilot_internal/user``; any field may be missing."""
    sku = _text(payload.get("access_type_sku"))
    endpoints = payload.get("endpoints")
    chat_enabled = payload.get("chat_enabled")
    snapshot, quota = _quota(payload, sku)
    return Account(
        login=_text(payload.get("login")),
        sku=sku,
        plan=plan_name(sku, _text(payload.get("copilot_plan"))),
        chat_enabled=chat_enabled if isinstance(chat_enabled, bool) else None,
        api_url=_text(endpoints.get("api")) if isinstance(endpoints, Mapping) else None,
        quota=quota,
        resets_on=_reset_date(payload, snapshot),
    )


def plan_name(sku: str | None, plan: str | None = None) -> str:
    """Return the plan's name as it appears on GitHub's pricing page.

    The SKU takes precedence, because `plan` is ``individual`` for both Free and Pro.
    """
    for part, name in _PLANS:
        if sku and part in sku:
            return name
    return _PLANS_BY_NAME.get(plan or "", sku or plan or "unknown")


def _quota(
    payload: Mapping[str, object], sku: str | None
) -> tuple[Mapping[str, object], AccountQuota | None]:
    """Return the snapshot of the quota that limits this plan, and the quota parsed from it."""
    # The Free plan is limited by chat messages; its premium requests are always 0.
    is_free = plan_name(sku) == "Free"
    snapshots = payload.get("quota_snapshots")
    if isinstance(snapshots, Mapping) and snapshots:
        found = {
            name: snapshot
            for name in METERS
            if (name == "chat") == is_free and isinstance(snapshot := snapshots.get(name), Mapping)
        }
        # If no entitlement is positive, use the first quota: its entitlement may just be missing.
        meter = metering({name: _entitlement(one) for name, one in found.items()})
        if (name := meter or next(iter(found), None)) is not None:
            snapshot = found[name]
            billed = snapshot.get("token_based_billing", payload.get("token_based_billing"))
            unit = quota_unit(name, token_based=billed is True)
            return snapshot, _parse_quota(snapshot, unit)
    left, total = payload.get("limited_user_quotas"), payload.get("monthly_quotas")
    if isinstance(left, Mapping) and isinstance(total, Mapping):
        snapshot = {"remaining": left.get("chat"), "entitlement": total.get("chat")}
        return snapshot, _parse_quota(snapshot, quota_unit("chat", token_based=False))
    return {}, None


def _entitlement(snapshot: Mapping[str, object]) -> float | None:
    """Return the entitlement of a snapshot, or -1 if there is no individual quota."""
    return -1.0 if snapshot.get("unlimited") is True else _number(snapshot.get("entitlement"))


def _parse_quota(snapshot: Mapping[str, object], unit: str) -> AccountQuota:
    entitlement = _number(snapshot.get("entitlement"))
    remaining = _number(snapshot.get("quota_remaining"))
    if remaining is None:
        remaining = _number(snapshot.get("remaining"))
    percent = _number(snapshot.get("percent_remaining"))
    if percent is None and entitlement is not None and entitlement > 0 and remaining is not None:
        percent = 100 * remaining / entitlement
    unlimited = snapshot.get("unlimited") is True or entitlement == -1
    has_quota = snapshot.get("has_quota")
    used_up = has_quota is False if unlimited else percent is not None and percent <= 0
    return AccountQuota(
        unit=unit,
        entitlement=None if unlimited else entitlement,
        remaining=None if unlimited else remaining,
        percent_remaining=None if unlimited else percent,
        unlimited=unlimited,
        used_up=used_up,
        overage_permitted=snapshot.get("overage_permitted") is True,
        overage_count=_number(snapshot.get("overage_count")) or 0.0,
    )


def _reset_date(payload: Mapping[str, object], snapshot: Mapping[str, object]) -> date | None:
    for name in ("quota_reset_date_utc", "quota_reset_date", "limited_user_reset_date"):
        text = _text(payload.get(name))
        if text:
            try:
                return date.fromisoformat(text[:10])
            except ValueError:
                continue
    seconds = _number(snapshot.get("quota_reset_at"))
    try:
        return datetime.fromtimestamp(seconds, UTC).date() if seconds else None
    except (OverflowError, OSError, ValueError):
        return None


def _text(value: object) -> str | None:
    """Return the printable characters in `value`, or None if it contains none."""
    if not isinstance(value, str):
        return None
    return "".join(char for char in value if char.isprintable()).strip() or None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value)
