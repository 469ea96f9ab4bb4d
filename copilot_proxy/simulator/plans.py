"""An account for each plan, and GitHub's descriptions of the accounts and their quotas."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from urllib.parse import quote_plus

from .types import AccountBody, QuotaSnapshot

UNLIMITED = {"entitlement": 0, "remaining": 0, "quota_remaining": 0.0, "percent_remaining": 100.0}


@dataclass(frozen=True)
class Plan:
    """An account and its plan."""

    login: str
    sku: str
    copilot_plan: str
    segment: str
    """The name of the plan in ``billing.restricted_to``."""
    host: str = "individual"
    chat_enabled: bool = True
    entitlement: float = 0
    """Premium requests or AI credits per month; 0 means none, -1 unlimited."""
    used: float = 0
    credits: bool = False
    """Whether the plan is billed per token, in AI credits."""
    overage: bool = False
    exhausted: bool = False
    """Whether the quota shared by all seats is used up."""
    organisations: list[dict[str, str]] = field(default_factory=list)

    @property
    def free(self) -> bool:
        """Whether the plan is metered by chat messages instead of premium requests."""
        return self.sku == "free_limited_copilot"


ACME = [{"login": "acme", "name": "Acme"}]

PLANS: dict[str, Plan] = {
    "free": Plan(
        "mona-free", "free_limited_copilot", "individual", "free", entitlement=500, used=90
    ),
    "free_credits": Plan(
        "mona-free",
        "free_limited_copilot",
        "individual",
        "free",
        entitlement=200,
        used=4.3,
        credits=True,
    ),
    "pro": Plan(
        "mona",
        "monthly_subscriber_quota",
        "individual",
        "pro",
        entitlement=300,
        used=128.33,
        overage=True,
    ),
    "pro_credits": Plan(
        "mona",
        "monthly_subscriber_quota",
        "individual",
        "pro",
        entitlement=1500,
        used=596.59,
        credits=True,
        overage=True,
    ),
    "pro_overage": Plan(
        "mona",
        "monthly_subscriber_quota",
        "individual",
        "pro",
        entitlement=300,
        used=1325,
        overage=True,
    ),
    "business": Plan(
        "mona_acme",
        "copilot_for_business_seat_quota",
        "business",
        "business",
        host="business",
        entitlement=-1,
        credits=True,
        organisations=ACME,
    ),
    "enterprise": Plan(
        "mona_acme",
        "copilot_enterprise_seat_multi_quota",
        "enterprise",
        "enterprise",
        host="enterprise",
        entitlement=-1,
        credits=True,
        organisations=ACME,
    ),
    "pool_exhausted": Plan(
        "mona_acme",
        "copilot_for_business_seat_quota",
        "business",
        "business",
        host="business",
        entitlement=-1,
        credits=True,
        exhausted=True,
        organisations=ACME,
    ),
    "no_seat": Plan(
        "mona_acme",
        "enterprise_managed",
        "enterprise",
        "enterprise",
        host="enterprise",
        chat_enabled=False,
        organisations=ACME,
    ),
    "none": Plan("mona-none", "no_access", "individual", "", chat_enabled=False),
    "pro_plus": Plan(
        "mona",
        "plus_monthly_subscriber_quota",
        "individual_pro",
        "pro_plus",
        entitlement=1500,
        used=12.5,
        overage=True,
    ),
    "max": Plan(
        "mona",
        "max_monthly_subscriber_quota",
        "individual_max",
        "max",
        entitlement=20000,
        used=1432.1,
        credits=True,
    ),
}
"""Name of a plan -> the account that has it."""


def reset_day(now: datetime.datetime | None = None) -> datetime.datetime:
    """Return when quotas are reset: the first of next month, midnight UTC."""
    now = now or datetime.datetime.now(datetime.UTC)
    first = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (first + datetime.timedelta(days=32)).replace(day=1)


def snapshot(plan: Plan, quota: str, spent: float) -> QuotaSnapshot:
    """Return an entry of ``quota_snapshots``; `spent` is added to the plan's earlier usage."""
    metered = "chat" if plan.free else "premium_interactions"
    if plan.entitlement == -1:
        return {
            "entitlement": -1,
            "remaining": 0,
            "percent_remaining": 100,
            "unlimited": True,
            "has_quota": not plan.exhausted,
            "overage_permitted": False,
            "overage_count": 0,
            "token_based_billing": plan.credits,
            "quota_id": quota,
        }
    if quota != metered:
        return _other_snapshot(plan, quota)
    used = plan.used + spent
    left = max(plan.entitlement - used, 0.0)
    found: QuotaSnapshot = {
        "entitlement": plan.entitlement,
        "remaining": int(left),
        "quota_remaining": round(left, 2),
        "percent_remaining": round(left / plan.entitlement * 100, 1),
        "unlimited": False,
        "overage_count": round(max(used - plan.entitlement, 0)),
        "overage_permitted": plan.overage,
        "quota_id": quota,
        "timestamp_utc": datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds"),
    }
    if plan.credits:
        found["credits_used"] = round(used, 2)
        found["has_quota"] = left > 0
        found["overage_entitlement"] = 0
        found["quota_reset_at"] = int(reset_day().timestamp())
        found["token_based_billing"] = True
    return found


def _other_snapshot(plan: Plan, quota: str) -> QuotaSnapshot:
    """Return the snapshot of a quota other than the one that the plan is metered by."""
    if not plan.free:
        more = {"overage_count": 0, "overage_permitted": False, "quota_id": quota}
        return {**UNLIMITED, "unlimited": True, **more}
    entitlement = 4000 if quota == "completions" else 0
    return {
        "entitlement": entitlement,
        "remaining": entitlement,
        "percent_remaining": 100 if entitlement else 0,
        "unlimited": False,
        "token_based_billing": plan.credits,
        "quota_id": quota,
    }


def endpoints(plan: Plan, api: str) -> dict[str, str]:
    """Return the ``endpoints`` of an account; `api` is the URL of the simulator."""
    return {
        "api": api,
        "origin-tracker": f"https://origin-tracker.{plan.host}.githubcopilot.com",
        "proxy": f"https://proxy.{plan.host}.githubcopilot.com",
        "telemetry": f"https://telemetry.{plan.host}.githubcopilot.com",
    }


def account(plan: Plan, api: str, spent: float) -> AccountBody:
    """Return the body of ``GET /copilot_internal/user``."""
    day = reset_day()
    body: AccountBody = {
        "login": plan.login,
        "access_type_sku": plan.sku,
        "analytics_tracking_id": "2c5d9d0be5b1f3a1",
        "assigned_date": None if plan.free else "2025-03-01T10:00:00Z",
        "can_signup_for_limited": plan.sku == "no_access",
        "chat_enabled": plan.chat_enabled,
        "copilot_plan": plan.copilot_plan,
        "organization_login_list": [one["login"] for one in plan.organisations],
        "organization_list": plan.organisations,
        "endpoints": endpoints(plan, api),
    }
    if not plan.chat_enabled:
        return body
    if plan.free and not plan.credits:
        left = int(plan.entitlement - plan.used - spent)
        body["monthly_quotas"] = {"chat": int(plan.entitlement), "completions": 4000}
        body["limited_user_quotas"] = {"chat": max(left, 0), "completions": 4000}
        body["limited_user_subscribed_day"] = 14
        body["limited_user_reset_date"] = day.date().isoformat()
        return body
    body["token_based_billing"] = plan.credits
    body["is_mcp_enabled"] = True
    body["quota_reset_date"] = day.date().isoformat()
    quotas: tuple[str, ...] = ("chat", "completions", "premium_interactions")
    if plan.copilot_plan == "business":
        quotas = ("premium_interactions",)
    else:
        body["quota_reset_date_utc"] = day.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    body["quota_snapshots"] = {quota: snapshot(plan, quota, spent) for quota in quotas}
    return body


def quota_headers(plan: Plan, spent: float) -> dict[str, str]:
    """Return the ``x-quota-snapshot-*`` headers of a successful Copilot API response."""
    reset = quote_plus(reset_day().strftime("%Y-%m-%dT%H:%M:%SZ"))
    headers = {}
    for quota in ("chat", "completions", "premium_interactions"):
        found = snapshot(plan, quota, spent)
        value = {
            "ent": -1 if found["unlimited"] else found["entitlement"],
            "ov": float(found.get("overage_count", 0)),
            "ovPerm": str(found.get("overage_permitted", False)).lower(),
            "rem": found["percent_remaining"],
            "rst": reset,
        }
        if plan.credits:
            value |= {"tbb": "true", "ovEnt": 0, "totRem": found.get("quota_remaining", 0)}
        headers[f"x-quota-snapshot-{quota}"] = _encoded(value)
    if plan.credits:
        for span in ("session", "weekly"):
            value = {"ent": 100, "ov": 0.0, "ovPerm": "false", "rem": 96.5, "rst": reset}
            headers[f"x-usage-ratelimit-{span}"] = _encoded(value)
    return headers


def _encoded(values: dict[str, object]) -> str:
    """Encode `values` as form fields. Quoting is unnecessary, and would slow every response."""
    return "&".join(f"{name}={value}" for name, value in values.items())
