"""The account as GitHub's Copilot pages know it: plan and quota, read from lenient JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

_PLANS: Final = (
    # The order matters: the first part that the SKU contains decides.
    ("no_auth", "none"),
    ("no_access", "none"),
    ("free_educational", "Pro for students and teachers"),
    ("free", "Free"),
    ("plus_", "Pro+"),
    ("max_", "Max"),
    ("business", "Business"),
    ("enterprise_managed", "none (managed by an enterprise, without a seat)"),
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
class Quota:
    """One allowance of the plan; None stands for what GitHub did not say."""

    unit: str
    """``chat messages``, ``premium requests`` or ``AI credits`` (1 credit is 0.01 US dollars)."""
    entitlement: float | None
    remaining: float | None
    percent_remaining: float | None
    """0 to 100, or below 0 when more was used than the plan holds."""
    unlimited: bool
    """No number of its own for this seat; see `used_up`, since a shared pool can still be empty."""
    used_up: bool
    overage_permitted: bool
    """Whether calls go on, at a price, when it is used up."""
    overage_count: float


@dataclass(frozen=True)
class Account:
    """Who somebody is to Copilot. `api_url` is what GitHub named, unchecked."""

    login: str | None
    sku: str | None
    plan: str
    chat_enabled: bool | None
    api_url: str | None
    quota: Quota | None
    resets_on: date | None


def parse_account(payload: Mapping[str, object]) -> Account:
    """An `Account` from the answer of ``/copilot_internal/user``; any field may be missing."""
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
    """The plan's name on GitHub's price list. The SKU decides: `plan` is the same word,
    ``individual``, for Free and for Pro."""
    for part, name in _PLANS:
        if sku and part in sku:
            return name
    return _PLANS_BY_NAME.get(plan or "", sku or plan or "unknown")


def _quota(
    payload: Mapping[str, object], sku: str | None
) -> tuple[Mapping[str, object], Quota | None]:
    """The snapshot that meters this plan, and what it says."""
    # The Free plan is metered by chat messages, with premium requests always at zero.
    is_free = plan_name(sku) == "Free"
    snapshots = payload.get("quota_snapshots")
    if isinstance(snapshots, Mapping) and snapshots:
        for name in ("chat",) if is_free else ("premium_interactions", "premium_models"):
            snapshot = snapshots.get(name)
            if isinstance(snapshot, Mapping):
                billed = snapshot.get("token_based_billing", payload.get("token_based_billing"))
                unit = "chat messages" if is_free else "premium requests"
                return snapshot, _parse_quota(snapshot, "AI credits" if billed is True else unit)
    left, total = payload.get("limited_user_quotas"), payload.get("monthly_quotas")
    if isinstance(left, Mapping) and isinstance(total, Mapping):
        snapshot = {"remaining": left.get("chat"), "entitlement": total.get("chat")}
        return snapshot, _parse_quota(snapshot, "chat messages")
    return {}, None


def _parse_quota(snapshot: Mapping[str, object], unit: str) -> Quota:
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
    return Quota(
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
    """`value` if it is a text that can stand on one line of a terminal."""
    if not isinstance(value, str):
        return None
    return "".join(char for char in value if char.isprintable()).strip() or None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value)
