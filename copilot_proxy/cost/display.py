"""Formats quotas, percentages and token counts for users.

`nano_aiu.rounded` formats AI credits.
"""

from datetime import UTC, datetime
from math import floor
from typing import Final

_UNITS: Final = ((10**9, "G"), (10**6, "M"), (10**3, "k"))


def percent(share: float) -> str:
    """Format a percentage, such as ``59%``. Values between 0 and 100 never become ``0%`` or
    ``100%``."""
    if 0 < share < 0.5:
        return "<1%"
    if 99.5 <= share < 100:
        return ">99%"
    return f"{floor(max(share, 0) + 0.5)}%"  # halves are rounded up, as in the dashboard


def quota_amount(value: float) -> str:
    """Format a quota amount to one decimal place, the precision of GitHub's reports."""
    return f"{max(value, 0):,.1f}"


def short_count(tokens: int) -> str:
    """Format a number of tokens, such as ``112k`` or ``4.1M``."""
    if tokens < 1000:
        return str(tokens)
    # These thresholds allow for rounding, so that neither 1000k nor 10.0k is shown.
    size, unit = next(one for one in _UNITS if tokens >= 0.9995 * one[0])
    number = tokens / size
    return f"{number:.1f}{unit}" if number < 9.95 else f"{number:.0f}{unit}"


def reset_day(moment: datetime) -> str:
    """Format the UTC day at whose start a quota resets, such as ``2026-12-01``."""
    return f"{moment.astimezone(UTC):%Y-%m-%d}"
