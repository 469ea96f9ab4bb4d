"""The fake Copilot's charges: amounts computed from an order's number, in exact arithmetic.

Shares no code with the product: here, each part of a cost is an exact fraction, rounded once.
"""

import random
from fractions import Fraction
from typing import Any, NamedTuple

LISTED = {
    "input_price": Fraction(5),
    "cache_read_price": Fraction(1, 2),
    "output_price": Fraction(25),
}
"""Credits per million tokens, as in the model list."""
_NAMES = {"input": "input_price", "cache_read": "cache_read_price", "output": "output_price"}
_BATCH = 1_000_000


class Bill(NamedTuple):
    """The tokens of an answer and their cost."""

    fresh: int
    cached: int
    output: int
    premium: int
    """Nano-AIU added to the price of a batch, so that amounts are not round."""

    @property
    def details(self) -> list[dict[str, Any]]:
        """The parts of the cost, as Copilot reports them."""
        return [
            {
                "token_type": kind,
                "token_count": count,
                "batch_size": _BATCH,
                "cost_per_batch": int(LISTED[_NAMES[kind]] * 10**9) + self.premium,
            }
            for kind, count in (
                ("input", self.fresh),
                ("cache_read", self.cached),
                ("output", self.output),
            )
        ]

    @property
    def nano(self) -> int:
        """The total in nano-AIU."""
        return sum(
            _rounded(Fraction(one["token_count"] * one["cost_per_batch"], one["batch_size"]))
            for one in self.details
        )


def bill_of(number: int, *, at_list_price: bool = False) -> Bill:
    """Return the bill of an order."""
    premium = 0 if at_list_price else 1 + number * 7_919 % 1_000_003
    return Bill(
        fresh=11 + number * 37 % 4_999,
        cached=number * 53 % 20_011,
        output=3 + number * 61 % 887,
        premium=premium,
    )


def bill_of_turn(number: int, chars: int, seen: int) -> tuple[Bill, int]:
    """Return the bill and the prompt tokens of an agent's turn with `chars` characters.

    `seen` is the number of tokens in the previous prompt, which are read from the cache.
    """
    choose = random.Random(number)
    per_token = 3.2 + 1.2 * (number // 1000 % 7) / 6
    prompt = int(chars / per_token)
    cached = min(seen, prompt)
    output = int(min(3000, max(40, choose.lognormvariate(5.8, 0.9))))
    return Bill(prompt - cached, cached, output, 0), prompt


def _rounded(value: Fraction) -> int:
    return int(value + Fraction(1, 2))
