"""What GitHub says that an answer cost: Copilot's own ``copilot_usage`` object."""

from collections.abc import Mapping
from typing import Any


def credits_of(copilot_usage: Mapping[str, Any] | None) -> float | None:
    """The AI Credits of an answer; None if Copilot did not say."""
    total = (copilot_usage or {}).get("total_nano_aiu")
    if isinstance(total, bool) or not isinstance(total, int | float) or total < 0:
        return None
    return total / 1e9
