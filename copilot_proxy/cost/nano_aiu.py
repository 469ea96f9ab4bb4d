"""Integer arithmetic on nano-AIU, GitHub's billing unit: a billionth of an AI credit.

Sums of floats would drift; sums of integers are exact for any number of requests.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

NANO: Final = 1_000_000_000
"""The number of nano-AIU in an AI credit."""
_NUMBERS: Final = (int, float)


def token_cost(count: int, price: int, batch: int) -> int:
    """Return the rounded cost of `count` tokens in nano-AIU, at `price` nano-AIU per `batch`
    tokens."""
    return (2 * count * price + batch) // (2 * batch)


def credits(nano: int) -> float:
    """Convert nano-AIU to AI credits, for display only; do all calculations in nano-AIU."""
    return nano / NANO


def reported_total(copilot_usage: Mapping[str, Any] | None) -> int | None:
    """Return the total that Copilot reported in ``copilot_usage``, or None if it reported none."""
    return _whole((copilot_usage or {}).get("total_nano_aiu"))


def sum_of_details(copilot_usage: Mapping[str, Any] | None) -> int | None:
    """Return the sum of the ``token_details`` in ``copilot_usage``, or None if there are none.

    A single unreadable detail makes the sum unknown, since a partial cost would be wrong.
    """
    details = (copilot_usage or {}).get("token_details")
    if not isinstance(details, list) or not details:
        return None
    total = 0
    for detail in details:
        if not isinstance(detail, dict):
            return None
        count, price = _whole(detail.get("token_count")), _whole(detail.get("cost_per_batch"))
        batch = _whole(detail.get("batch_size"))
        if count is None or price is None or not batch:
            return None
        total += token_cost(count, price, batch)
    return total


def _whole(value: object) -> int | None:
    """Return a number in [0, 1e18), rounded to an integer, or None for anything else."""
    if isinstance(value, bool) or not isinstance(value, _NUMBERS) or not 0 <= value < 1e18:
        return None
    return round(value)


def decimal(nano: int) -> str:
    """Return nano-AIU as an exact decimal number of AI credits, such as ``0.1125``."""
    whole, rest = divmod(nano, NANO)
    return f"{whole}.{rest:09d}".rstrip("0").rstrip(".")


def grouped(value: float) -> str:
    """Return a number with up to six decimals and without an exponent, such as ``1,234,567.5``."""
    return f"{value:,.6f}".rstrip("0").rstrip(".")


def rounded(nano: int) -> str:
    """Return nano-AIU in AI credits with two decimals; ``<0.01`` for amounts that round to 0.00."""
    if 0 < nano < NANO // 200:
        return "<0.01"
    # A float would round half of these halves down, and the dashboard rounds all of them up.
    cents = (abs(nano) + NANO // 200) // (NANO // 100)
    return f"{'-' if nano < 0 and cents else ''}{cents // 100:,}.{cents % 100:02}"


def merged_usage(parts: Sequence[object]) -> dict[str, Any] | None:
    """Return the combined ``copilot_usage`` of the answers, for a request that took several calls.

    Returns None if any of them does not report a total, since the sum would be too low.
    """
    usages = [one.get("copilot_usage") if isinstance(one, dict) else None for one in parts]
    totals = [reported_total(one) if isinstance(one, dict) else None for one in usages]
    known = [total for total in totals if total is not None]
    if not known or len(known) < len(parts):
        return None
    details = [one.get("token_details") for one in usages if isinstance(one, dict)]
    return {
        "total_nano_aiu": sum(known),
        "token_details": [item for one in details if isinstance(one, list) for item in one],
    }
