"""Cache misses are explained in sentences."""

from copilot_proxy.cost.cache_advice import explain


def test_a_pause_is_explained_for_one_request_and_for_several() -> None:
    """For several requests, the longest of the pauses is shown."""
    one, _ = explain("ttl_expiry", "720", 1)
    several, _ = explain("ttl_expiry", "720", 3)
    assert one.endswith("stay in the cache; it lasted 12 minutes")
    assert several.endswith("stay in the cache; the longest was 12 minutes")
