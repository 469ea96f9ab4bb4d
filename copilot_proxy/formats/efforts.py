"""Reasoning efforts: their order, and the thinking budget in tokens for each."""

from collections.abc import Mapping, Sequence
from typing import Final

EFFORTS: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""All efforts that any Copilot model supports, from lowest to highest."""

BUDGETS: Final[Mapping[str, int]] = {
    "minimal": 1024,
    "low": 4096,
    "medium": 8192,
    "high": 16384,
    "xhigh": 24576,
    "max": 32000,
}
"""Thinking tokens for each effort, for models that require a budget. The scale is an estimate."""


def nearest_effort(effort: str, offered: Sequence[str]) -> str | None:
    """Return the offered effort nearest to `effort`, or None if no known effort is offered.

    An `effort` other than ``none`` only becomes ``none`` if nothing else is offered. If any efforts
    are offered, an unknown `effort` is returned unchanged.
    """
    if effort in offered or (offered and effort not in EFFORTS):
        return effort
    known = [name for name in offered if name in EFFORTS]
    if not known:
        return None
    if effort != "none":
        known = [name for name in known if name != "none"] or known
    rank = EFFORTS.index(effort)
    return min(known, key=lambda name: abs(EFFORTS.index(name) - rank))


def effort_of(budget: int) -> str:
    """Return the effort whose budget is closest to `budget`, in tokens."""
    return min(BUDGETS, key=lambda name: abs(BUDGETS[name] - budget))
