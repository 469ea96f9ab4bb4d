"""Cache misses are explained in sentences."""

from copilot_proxy.cost.cache_advice import explain


def test_a_pause_is_explained_for_one_request_and_for_several() -> None:
    """For several requests, the longest of the pauses is shown."""
    one, _ = explain("ttl_expiry", "720 300", 1)
    several, _ = explain("ttl_expiry", "720 300", 3)
    assert one.endswith("stay in the cache; it lasted 12 minutes")
    assert several.endswith("stay in the cache; the longest was 12 minutes")


def test_the_time_in_the_cache_is_named() -> None:
    """It depends on the model and on what the client requested."""
    hour, _ = explain("ttl_expiry", "4500 3600", 1)
    observed, _ = explain("ttl_expiry", "1800 1200", 1)
    assert "longer than the hour for which" in hour
    assert "longer than the 20 minutes for which" in observed
