"""Levels of reasoning: their order, and what each comes to in tokens of thinking."""

from collections.abc import Mapping, Sequence
from typing import Final

EFFORTS: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""Every level that some model of Copilot's takes, from the least to the most."""

BUDGETS: Final[Mapping[str, int]] = {
    "minimal": 1024,
    "low": 4096,
    "medium": 8192,
    "high": 16384,
    "xhigh": 24576,
    "max": 32000,
}
"""Tokens of thinking for an effort, where a model takes a budget; a rough scale of our own."""


def nearest_effort(effort: str, offered: Sequence[str]) -> str | None:
    """The offered effort nearest to `effort`; None if there are none, itself if it is unknown."""
    known = [name for name in offered if name in EFFORTS]
    if not offered:
        return None
    if effort in offered or effort not in EFFORTS or not known:
        return effort
    rank = EFFORTS.index(effort)
    return min(known, key=lambda name: abs(EFFORTS.index(name) - rank))


def effort_of(budget: int) -> str:
    """The effort that a budget in tokens comes nearest to."""
    return min(BUDGETS, key=lambda name: abs(BUDGETS[name] - budget))
