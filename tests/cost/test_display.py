"""Numbers as they are shown to users."""

import pytest

from copilot_proxy.cost.display import percent, short_count
from copilot_proxy.cost.nano_aiu import rounded


@pytest.mark.parametrize(
    ("share", "shown"),
    [
        *[(0, "0%"), (0.3, "<1%"), (0.5, "1%"), (2.5, "3%"), (59.2, "59%")],
        *[(99.7, ">99%"), (100, "100%"), (-3, "0%")],
    ],
)
def test_percentages(share: float, shown: str) -> None:
    """A percentage between 0 and 100 is never rounded to 0 or 100."""
    assert shown == percent(share)


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        *[(999, "999"), (1000, "1.0k"), (1312, "1.3k"), (9_960, "10k"), (124_005, "124k")],
        *[(999_400, "999k"), (999_600, "1.0M"), (4_100_000, "4.1M")],
    ],
)
def test_token_counts(count: int, shown: str) -> None:
    """Token counts are shortened with an SI prefix."""
    assert shown == short_count(count)


@pytest.mark.parametrize(
    ("thousandths", "shown"),
    [
        *[(0, "0.00"), (4, "<0.01"), (5, "0.01"), (425, "0.43"), (4675, "4.68"), (8925, "8.93")],
        *[(424, "0.42"), (999_995, "1,000.00"), (-425, "-0.43"), (-1, "0.00")],
    ],
)
def test_credits(thousandths: int, shown: str) -> None:
    """Halves are always rounded up, as on the dashboard."""
    assert shown == rounded(thousandths * 1_000_000)
