"""The rate limiter allows a burst and then one call per interval."""

import pytest

from copilot_proxy.auth.rate_limiter import RateLimiter

EVERY = 30.0


@pytest.mark.parametrize(
    ("asked_at", "expected"),
    [
        ([0, 0, 0], [0, 0, 0]),
        ([0, 0, 0, 0], [0, 0, 0, 30]),
        ([0, 0, 0, 0, 0, 10], [0, 0, 0, 30, 30, 20]),
        ([0, 0, 0, 30, 30], [0, 0, 0, 0, 30]),
        ([0, 0, 0, 60, 60, 60], [0, 0, 0, 0, 0, 30]),
        ([0, 10, 20, 29, 30, 31], [0, 0, 0, 1, 0, 29]),
        ([0, 0, 0, 9999, 9999, 9999, 9999], [0, 0, 0, 0, 0, 0, 30]),
    ],
)
def test_burst_and_interval(asked_at: list[float], expected: list[float]) -> None:
    """Refused calls do not count, and unused calls accumulate only up to the burst."""
    now = 0.0
    limiter = RateLimiter(3, EVERY, lambda: now)
    waits = []
    for now in asked_at:  # noqa: B007  # the limiter reads it
        waits.append(limiter.acquire())

    assert expected == waits
