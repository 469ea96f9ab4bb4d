"""The cost of a request: the order of sources, price tiers, and unknown costs."""

from typing import Any

import pytest

from copilot_proxy.cost.assessment import assess, estimated, source_text
from copilot_proxy.cost.estimated_tokens import prompt_tokens
from copilot_proxy.cost.nano_aiu import decimal, grouped, merged_usage, token_cost
from copilot_proxy.cost.price_list import listed_prices, reported_prices
from copilot_proxy.cost.tokens import Tokens, from_details
from copilot_proxy.formats.messages.usage import usage_to_chat

USAGE = {
    "prompt_tokens": 1000,
    "completion_tokens": 200,
    "prompt_tokens_details": {"cached_tokens": 600, "cache_creation_input_tokens": 300},
    "completion_tokens_details": {"reasoning_tokens": 50},
}
DETAILS = [
    {"token_type": kind, "token_count": count, "batch_size": 1_000_000, "cost_per_batch": price}
    for kind, count, price in (
        ("input", 100, 5 * 10**11),
        ("cache_read", 600, 5 * 10**10),
        ("output", 200, 25 * 10**11),
    )
]
TIERS = {
    "batch_size": 1_000_000,
    "default": {
        "input_price": 500,
        "output_price": 2500,
        "cache_read_price": 12.5,
        "context_max": 200_000,
    },
    "long_context": {"input_price": 1000, "output_price": 5000, "cache_read_price": 25},
}


def listed(prices: dict[str, Any]) -> dict[str, Any]:
    return {"billing": {"token_prices": prices}}


LISTED = listed_prices(listed(TIERS))


def test_reasoning_in_the_details() -> None:
    """Reasoning that is billed separately is part of the output; otherwise, `usage` counts it."""
    separate = {"token_type": "reasoning", "token_count": 70}

    assert from_details({"token_details": [*DETAILS, separate]}, USAGE) == Tokens(
        input=100, cache_read=600, output=270, reasoning=70
    )
    assert from_details({"token_details": DETAILS}, USAGE) == Tokens(
        input=100, cache_read=600, output=200, reasoning=50
    )


def test_the_reported_total_wins() -> None:
    """Neither the details nor any price list overrides what GitHub reports."""
    reported = {"total_nano_aiu": 7, "token_details": DETAILS}
    cost = assess("claude-opus-5", LISTED, USAGE, reported)

    assert (7, "reported") == (cost.nano, cost.source)


def test_writes_for_an_hour_cost_more() -> None:
    """Without details, Claude's own usage says how many tokens were written for an hour."""
    usage = {
        "input_tokens": 1000,
        "cache_read_input_tokens": 2000,
        "cache_creation_input_tokens": 500,
        "cache_creation": {"ephemeral_5m_input_tokens": 300, "ephemeral_1h_input_tokens": 200},
        "output_tokens": 7,
    }
    prices = {"input_price": 200, "output_price": 1000, "cache_read_price": 20}
    prices |= {"cache_write_price": 250, "cache_write_1h": 400}
    cost = assess(None, listed_prices(listed({"default": prices})), usage_to_chat(usage), None)

    assert Tokens(1000, 2000, 300, 200, 7) == cost.tokens
    assert 402_000_000 == cost.nano


def test_the_details_come_second() -> None:
    """Without a total, the details are summed, and their token counts become the request's."""
    cost = assess("claude-opus-5", LISTED, None, {"token_details": DETAILS})

    assert (580_000_000, "details") == (cost.nano, cost.source)
    assert Tokens(input=100, cache_read=600, output=200) == cost.tokens


def test_the_list_of_models_comes_third() -> None:
    """Fresh and cached tokens have separate prices; cache writes cost the same as fresh tokens."""
    cost = assess("nobody-knows-it", LISTED, USAGE, None)

    expected = (100 + 300) * 500_000 + 600 * 12_500 + 200 * 2_500_000
    assert (expected, "models", "default") == (cost.nano, cost.source, cost.tier)


def test_the_table_comes_fourth_with_its_date() -> None:
    """The bundled table is used for an account whose list has no prices."""
    cost = assess("claude-opus-5", None, USAGE, None)

    assert ("table", 100 * 500_000 + 600 * 50_000 + 300 * 625_000 + 200 * 2_500_000) == (
        cost.source,
        cost.nano,
    )
    assert cost.price_date is not None


@pytest.mark.parametrize(
    ("usage", "copilot_usage"),
    [
        (USAGE, None),
        (None, None),
        (None, {}),
        (USAGE, {"total_nano_aiu": None, "token_details": [{"token_type": "input"}]}),
        (USAGE, {"total_nano_aiu": True}),
        (USAGE, {"total_nano_aiu": -1}),
        ({}, None),
        ({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}, {}),
    ],
)
def test_unknown_is_not_zero(usage: Any, copilot_usage: Any) -> None:
    """Without a price, the cost is unknown."""
    cost = assess("nobody-knows-it", None, usage, copilot_usage)

    assert (None, "unknown") == (cost.nano, cost.source)


@pytest.mark.parametrize("usage", [{}, {"prompt_tokens": 0, "completion_tokens": 0}])
def test_counts_of_zero_are_none(usage: dict[str, Any]) -> None:
    """Gemini reports no tokens in most chunks, which does not make the request free."""
    details = {"token_details": [{"token_type": "input"}]}

    assert (None, "unknown") == assess("claude-opus-5", LISTED, usage, details)[:2]


def test_zero_is_a_cost() -> None:
    """A model that is included in the plan has a known cost of zero."""
    assert 0 == assess("x", None, USAGE, {"total_nano_aiu": 0}).nano


@pytest.mark.parametrize(
    ("prompt", "tier", "price"), [(200_000, "default", 500), (200_001, "long_context", 1000)]
)
def test_a_long_prompt_has_different_prices(prompt: int, tier: str, price: int) -> None:
    """The long-context tier applies to all tokens of a prompt over the limit, even if cached."""
    tokens = Tokens(input=prompt)
    prices = LISTED

    assert prices is not None
    assert (tier, prompt * price * 1000) == (prices.tier(prompt), prices.cost(tokens))


def test_offers_do_not_change_an_estimate() -> None:
    """List prices apply, since an offer may end; the Auto model's discount does not count.

    A budget must not assume less than a request may cost.
    """
    promo = {"id": "launch", "discount_percent": 50, "ends_at": "2027-01-31T00:00:00Z"}
    entry = {"billing": {"token_prices": TIERS, "auto_discount": 0.1, "promo": promo}}

    assert listed_prices(entry) == LISTED


def test_flat_prices_are_in_nano_aiu() -> None:
    """Without tiers, Copilot lists prices in nano-AIU per batch."""
    flat = {"batch_size": 1000, "input_price": 250_000_000, "output_price": 1_000_000_000}
    prices = listed_prices(listed(flat))

    assert prices is not None
    assert 4 * 250_000 + 1_000_000 == prices.cost(Tokens(input=4, output=1))


def test_an_estimate_is_marked() -> None:
    """An estimate is marked as an estimate; without a price, the cost stays unknown."""
    tokens = Tokens(input=1000, output=10)

    assert "estimated" == estimated("x", LISTED, tokens).source
    assert (None, "unknown") == estimated("x", None, tokens)[:2]


def test_the_date_of_the_table_is_explained() -> None:
    """An estimate says which prices the date belongs to."""
    assert "calculated from the bundled price table of 2026-11-01" == source_text(
        "table", "2026-11-01"
    )
    assert source_text("estimated", "2026-11-01") == (
        f"{source_text('estimated', None)}; "
        "the prices are from the bundled price table of 2026-11-01"
    )


def test_files_have_a_flat_estimate() -> None:
    """A one-megabyte picture does not count as a quarter of a million tokens."""
    request = {"messages": [{"content": [{"text": "word " * 800}, {"data": "A" * 1_000_000}]}]}

    assert 1000 + 1600 <= prompt_tokens(request) < 2700


def test_arithmetic_is_exact() -> None:
    """Amounts are rounded once, to a nano-AIU, and shown with all digits."""
    assert [0, 1, 1, 2] == [token_cost(count, 1, 2) for count in (0, 1, 2, 3)]
    assert ["0.1125", "3", "0.000000001"] == [decimal(n) for n in (112_500_000, 3 * 10**9, 1)]


def test_calls_are_merged_only_if_all_report() -> None:
    """If only some of a request's calls report a cost, their sum is not used."""
    one = {"copilot_usage": {"total_nano_aiu": 3, "token_details": DETAILS[:1]}}

    assert {"total_nano_aiu": 6, "token_details": DETAILS[:1] * 2} == merged_usage([one, one])
    assert merged_usage([one, {}]) is None


@pytest.mark.parametrize("odd", [[], {}, None, 5, "tea"])
def test_prices_of_unknown_kinds_of_tokens(odd: object) -> None:
    """Unknown prices are ignored, and all others count."""
    entry = {"batch_size": 1, "cost_per_batch": 3}
    known = [{**entry, "token_type": kind} for kind in ("input", "output")]

    with_odd = reported_prices({"token_details": [{**entry, "token_type": odd}, odd, *known]})

    assert with_odd is not None
    assert with_odd == reported_prices({"token_details": known})


def test_large_numbers_have_no_exponent() -> None:
    """A limit of ten million credits is not shown as 1e+07."""
    assert ["10,000,000", "1,234,567.25", "0.001", "0"] == [
        grouped(one) for one in (10_000_000, 1_234_567.25, 0.001, 0.0)
    ]
