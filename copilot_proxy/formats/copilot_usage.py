"""Reads the cost of a response from Copilot's ``copilot_usage`` object."""

from collections.abc import Mapping
from typing import Any


def credits_of(copilot_usage: Mapping[str, Any] | None) -> float | None:
    """Return the cost of a response in AI credits, or None if Copilot did not report it."""
    total = (copilot_usage or {}).get("total_nano_aiu")
    if isinstance(total, bool) or not isinstance(total, int | float) or total < 0:
        return None
    return total / 1e9
