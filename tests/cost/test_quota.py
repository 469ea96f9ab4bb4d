"""The quota in response headers, and the forecast of when it runs out."""

from datetime import UTC, datetime, timedelta

import pytest

from copilot_proxy.catalogue import parse_models
from copilot_proxy.cost.quota import Quota, quota_of, runs_out
from copilot_proxy.relay.records import RequestRecord

RESET = datetime(2026, 12, 1, tzinfo=UTC)
PREMIUM = "x-quota-snapshot-premium_interactions"
CREDITS = "ent=1500&ov=0.0&ovPerm=false&rem=87.3&rst=2026-12-01T00%3A00%3A00Z&tbb=true"


def test_the_remaining_quota() -> None:
    """In the headers, `rem` is a percentage of `ent`."""
    quota = quota_of({PREMIUM: CREDITS})

    assert Quota("AI credits", 1500, 87.3, 0, RESET) == quota
    assert quota is not None
    assert 1309.5 == quota.left
    assert 190.5 == quota.used


def test_usage_beyond_the_plan() -> None:
    """What was used beyond the plan is kept, with its decimals."""
    headers = {PREMIUM: CREDITS.replace("ov=0.0", "ov=12.5").replace("rem=87.3", "rem=0.0")}

    assert Quota("AI credits", 1500, 0, 12.5, RESET) == quota_of(headers)


@pytest.mark.parametrize(("percent", "left", "used"), [(99.4, 1491, 9), (60.2, 903, 597)])
def test_no_noise_of_floats(percent: float, left: float, used: float) -> None:
    """The amounts are shown with the decimals that GitHub counts, such as 9, not 8.99999999."""
    quota = Quota("AI credits", 1500, percent, 0, RESET)
    assert (left, used) == (quota.left, quota.used)


def test_headers_that_do_not_say_how_the_account_is_billed() -> None:
    """If the headers do not show how the account is billed, the model list does: it only has
    prices if the account is billed per token.

    The model that answered need not have a price: it may be a free model.
    """
    headers = {PREMIUM: CREDITS.removesuffix("&tbb=true")}
    free = {"id": "gpt-5", "billing": {"multiplier": 0}}
    prices = {"default": {"input_price": 500, "output_price": 2500}}
    priced = {"id": "opus", "billing": {"token_prices": prices}}
    units = []
    for entries in ([free], [priced], [free, priced]):
        model = parse_models({"data": entries}).usable[0]
        record = RequestRecord("1", "messages", listed=model)
        record.add_headers(headers)
        assert record.quota is not None
        units.append(record.quota.unit)

    assert ["premium requests", "AI credits", "AI credits"] == units


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({PREMIUM: ""}, None),
        ({PREMIUM: "ent=abc&rem=1"}, None),
        ({PREMIUM: "ent=300"}, None),
        ({PREMIUM: "ent=0&rem=0", "x-quota-snapshot-chat": "ent=200&rem=50"}, "chat messages"),
        (
            {PREMIUM: "ent=300&rem=50", "x-quota-snapshot-chat": "ent=-1&rem=100"},
            "premium requests",
        ),
        ({PREMIUM: "ent=-1&rem=100&rst=never"}, "premium requests"),
    ],
)
def test_which_quota_meters_the_plan(headers: dict[str, str], expected: str | None) -> None:
    """The chat quota only applies to plans without premium requests; invalid values are ignored."""
    quota = quota_of(headers)

    assert expected == (quota.unit if quota else None)


def test_a_seat_without_a_quota() -> None:
    """A seat in an organization may have no individual quota."""
    quota = quota_of({PREMIUM: "ent=-1&rem=100"})

    assert quota is not None
    assert (True, None, None) == (quota.unlimited, quota.left, quota.used)
    assert runs_out(quota, RESET - timedelta(days=3)) is None


@pytest.mark.parametrize(
    ("day", "left", "expected"),
    [
        (16, 25.0, datetime(2026, 11, 21, tzinfo=UTC)),  # three quarters in 15 days
        (16, 60.0, None),  # lasts until the reset
        (16, 0.0, datetime(2026, 11, 16, tzinfo=UTC)),
        (16, 100.0, None),
        (1, 99.0, None),  # too early to tell
    ],
)
def test_forecast(day: int, left: float, expected: datetime | None) -> None:
    """The forecast continues this month's pace."""
    quota = Quota("AI credits", 1500, left, 0, RESET)

    assert expected == runs_out(quota, datetime(2026, 11, day, tzinfo=UTC))


@pytest.mark.parametrize(("left", "used_up"), [(-3.2, True), (0.0, True), (50.0, False)])
def test_without_a_reset(left: float, used_up: bool) -> None:
    """A used-up quota is reported as used up, whether or not its reset date is known."""
    now = datetime(2026, 11, 16, tzinfo=UTC)

    assert (now if used_up else None) == runs_out(Quota("AI credits", 1500, left, 48, None), now)
