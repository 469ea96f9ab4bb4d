"""Picks the level of reasoning that a model has for the one that was asked for."""

from collections.abc import Sequence
from typing import Final

_EFFORTS: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max")


def nearest_effort(effort: str, offered: Sequence[str]) -> str:
    """`effort` itself if the model offers it or nobody knows it, else the nearest one offered."""
    known = [name for name in offered if name in _EFFORTS]
    if effort in offered or effort not in _EFFORTS or not known:
        return effort
    rank = _EFFORTS.index(effort)
    return min(known, key=lambda name: abs(_EFFORTS.index(name) - rank))
