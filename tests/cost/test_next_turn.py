"""The cost of a session's next turn."""

import pytest

from copilot_proxy.cost.next_turn import next_turn
from copilot_proxy.cost.price_list import PriceList, Tier
from copilot_proxy.cost.tokens import Tokens

PRICES = PriceList(
    batch=1,
    default=Tier(input=10, output=100, cache_read=1, cache_write=12, cache_write_1h=20),
    long_context=Tier(input=20, output=150, cache_read=2, cache_write=24, cache_write_1h=40),
    threshold=2000,
)


@pytest.mark.parametrize(
    ("last", "cached", "writes", "warm", "cold"),
    [
        # The next prompt has 1,150 tokens, the last answer included, and the answer has 50.
        (Tokens(input=1100, output=50), 1024, False, 1_024 + 1_260 + 5_000, 11_500 + 5_000),
        (
            Tokens(cache_read=1000, cache_write=100, output=50),
            1100,
            True,
            1_100 + 600 + 5_000,
            13_800 + 5_000,
        ),
        # Only the last answer makes the next prompt a long one.
        (Tokens(input=1990, output=50), 1920, False, 3_840 + 2_400 + 7_500, 40_800 + 7_500),
    ],
)
def test_the_next_turn(last: Tokens, cached: int, writes: bool, warm: int, cold: int) -> None:
    """The next prompt is the last one and its answer, and the next answer is as long."""
    assert (warm, cold) == next_turn(last, cached, PRICES, writes=writes)
