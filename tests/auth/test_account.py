"""Plan and quota, as read from GitHub's account endpoint."""

from datetime import date

import pytest

from copilot_proxy.auth.account import AccountQuota, parse_account, plan_name
from copilot_proxy.cost.quota import quota_of

PRO = {
    "login": "mona",
    "access_type_sku": "monthly_subscriber_quota",
    "copilot_plan": "individual",
    "chat_enabled": True,
    "endpoints": {"api": "https://api.individual.githubcopilot.com"},
    "quota_reset_date": "2026-12-01",
    "quota_snapshots": {
        "chat": {"entitlement": 0, "percent_remaining": 100.0, "unlimited": True},
        "premium_interactions": {
            "entitlement": 300,
            "remaining": 171,
            "quota_remaining": 171.67,
            "percent_remaining": 57.2,
            "unlimited": False,
            "overage_permitted": True,
            "overage_count": 0,
        },
    },
}


@pytest.mark.parametrize(
    ("sku", "expected"),
    [
        ("free_limited_copilot", "Free"),
        ("free_educational_quota", "Pro for students and teachers"),
        ("monthly_subscriber_quota", "Pro"),
        ("yearly_subscriber_quota", "Pro"),
        ("plus_monthly_subscriber_quota", "Pro+"),
        ("max_monthly_subscriber_quota", "Max"),
        ("max_yearly_subscriber_quota", "Max"),
        ("copilot_for_business_seat_quota", "Business"),
        ("copilot_enterprise_seat_multi_quota", "Enterprise"),
        ("enterprise_managed", "none (enterprise-managed account without a seat)"),
        ("no_auth_limited_copilot", "none"),
        ("no_access", "none"),
        ("something_new", "something_new"),
    ],
)
def test_the_sku_names_the_plan(sku: str, expected: str) -> None:
    """The plan comes from the SKU, since `copilot_plan` is "individual" for both Free and Pro."""

    assert expected == plan_name(sku)


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        ("individual_pro", "Pro+"),
        ("individual_max", "Max"),
        ("business", "Business"),
        ("new", "new"),
        (None, "unknown"),
    ],
)
def test_without_a_sku_copilot_plan_is_used(plan: str | None, expected: str) -> None:
    """Without a SKU, the plan comes from `copilot_plan`."""

    assert expected == plan_name(None, plan)


def test_a_paid_plan_is_metered_by_premium_requests() -> None:
    """A paid plan shows used and total premium requests, and the reset day."""
    account = parse_account(PRO)
    expected = AccountQuota("premium requests", 300.0, 171.67, 57.2, False, False, True, 0.0)

    assert expected == account.quota
    assert date(2026, 12, 1) == account.resets_on
    assert ("mona", "Pro", True) == (account.login, account.plan, account.chat_enabled)
    assert "https://api.individual.githubcopilot.com" == account.api_url


def test_a_free_plan_is_metered_by_chat_messages() -> None:
    """In the older format, without snapshots, a free plan's quota is read as chat messages."""
    account = parse_account(
        {
            "access_type_sku": "free_limited_copilot",
            "monthly_quotas": {"chat": 500, "completions": 4000},
            "limited_user_quotas": {"chat": 410, "completions": 4000},
            "limited_user_reset_date": "2026-12-14",
        }
    )
    expected = AccountQuota("chat messages", 500.0, 410.0, 82.0, False, False, False, 0.0)

    assert expected == account.quota
    assert date(2026, 12, 14) == account.resets_on


def test_a_free_plan_billed_in_credits_shows_chat() -> None:
    """A free plan billed in credits shows chat; its premium requests are always zero."""
    account = parse_account(
        {
            "access_type_sku": "free_limited_copilot",
            "token_based_billing": True,
            "quota_snapshots": {
                "chat": {"percent_remaining": 97.8, "quota_remaining": 195.7, "entitlement": 200},
                "premium_interactions": {"percent_remaining": 0, "entitlement": 0},
            },
        }
    )

    assert account.quota is not None
    assert ("AI credits", 97.8, False) == (
        account.quota.unit,
        account.quota.percent_remaining,
        account.quota.used_up,
    )


def test_unlimited_without_quota_is_not_shown_as_unlimited() -> None:
    """An empty shared pool is not shown as unlimited, although GitHub reports it as unlimited."""
    snapshot = {"entitlement": -1, "remaining": 0, "percent_remaining": 100, "unlimited": True}
    full, empty = (
        parse_account(
            {"quota_snapshots": {"premium_interactions": {**snapshot, "has_quota": has_quota}}}
        ).quota
        for has_quota in (True, False)
    )

    assert AccountQuota("premium requests", None, None, None, True, False, False, 0.0) == full
    assert AccountQuota("premium requests", None, None, None, True, True, False, 0.0) == empty


def test_credits_beyond_the_plan_are_counted() -> None:
    """Paid usage beyond the plan is shown."""
    quota = parse_account(
        {
            "quota_snapshots": {
                "premium_models": {
                    "entitlement": 1500,
                    "percent_remaining": 0,
                    "overage_permitted": True,
                    "overage_count": 1025,
                    "token_based_billing": True,
                    "quota_reset_at": 1796083200,
                }
            }
        }
    ).quota

    assert AccountQuota("AI credits", 1500.0, None, 0.0, False, True, True, 1025.0) == quota


@pytest.mark.parametrize(
    ("models", "interactions", "expected"),
    [
        (300, 1500, 300.0),
        (0, 1500, 1500.0),
        (-1, 1500, 1500.0),
        (None, 1500, 1500.0),
        (-1, 0, None),
    ],
)
def test_two_quotas(models: int | None, interactions: int, expected: float | None) -> None:
    """The account and the headers agree on which of two quotas applies to the plan."""
    entitlements = {"premium_interactions": interactions, "premium_models": models}
    shown = {name: amount for name, amount in entitlements.items() if amount is not None}
    account = parse_account(
        {
            "access_type_sku": "monthly_subscriber_quota",
            "quota_snapshots": {
                name: {"entitlement": amount, "percent_remaining": 50, "unlimited": amount == -1}
                for name, amount in shown.items()
            },
        }
    )
    quota = quota_of({f"x-quota-snapshot-{k}": f"ent={v}&rem=50" for k, v in shown.items()})

    assert account.quota is not None
    assert quota is not None
    assert expected == account.quota.entitlement
    assert expected == (None if quota.unlimited else quota.entitlement)


@pytest.mark.parametrize("more", [0, 500, -1, None, "odd"])
def test_the_overage_entitlement_is_not_part_of_the_quota(more: object) -> None:
    """`overage_entitlement`, which may be -1 for no limit, changes neither quota nor state."""
    snapshot = {
        "entitlement": 1500,
        "quota_remaining": 0.0,
        "percent_remaining": 0,
        "overage_permitted": True,
        "overage_count": 3,
        "overage_entitlement": more,
        "token_based_billing": True,
    }
    quota = parse_account({"quota_snapshots": {"premium_interactions": snapshot}}).quota

    assert AccountQuota("AI credits", 1500.0, 0.0, 0.0, False, True, True, 3.0) == quota


def test_the_reset_day_may_be_in_the_snapshot() -> None:
    """In the newest format, the reset day is read from `quota_reset_at`."""
    account = parse_account(
        {"quota_snapshots": {"premium_interactions": {"quota_reset_at": 1796083200}}}
    )

    assert date(2026, 12, 1) == account.resets_on


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"quota_snapshots": {}, "endpoints": None, "login": 7, "chat_enabled": "yes"},
        {"quota_snapshots": {"premium_interactions": "odd"}, "quota_reset_date": "soon"},
        {"quota_snapshots": [], "limited_user_quotas": {"chat": 1}, "endpoints": {"api": 3}},
        {"login": "\x1b", "quota_reset_date_utc": None},
    ],
)
def test_missing_and_odd_fields_are_unknown(payload: dict[str, object]) -> None:
    """Missing and malformed fields count as unknown; all others are still shown."""
    account = parse_account(payload)

    assert (None, None, None, None, None) == (
        account.login,
        account.quota,
        account.resets_on,
        account.api_url,
        account.chat_enabled,
    )


def test_invalid_numbers_are_unknown() -> None:
    """True is not read as 1, and out-of-range dates are unknown."""
    account = parse_account(
        {
            "quota_snapshots": {
                "premium_interactions": {
                    "entitlement": True,
                    "remaining": "many",
                    "quota_reset_at": 1e18,
                }
            }
        }
    )

    assert (
        AccountQuota("premium requests", None, None, None, False, False, False, 0.0)
        == account.quota
    )
    assert account.resets_on is None
