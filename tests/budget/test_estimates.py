"""The amounts that the budget reserves before it knows what a request costs."""

from copilot_proxy.simulator import Simulator
from tests.conftest import Proxy, settings_at

# A text without spaces looks like the data of a file, whose tokens cannot be counted.
DATA = "0123456789" * 20_000


def test_a_growing_conversation(simulator: Simulator) -> None:
    """A session's next large request is estimated from the tokens that Copilot has just counted."""
    settings = settings_at(simulator, ledger=True, budget="1000/day")
    with Proxy(settings) as proxy, proxy.client() as client:
        for number in (1, 2):
            messages = [{"role": "user", "content": DATA + "0123456789" * 500 * number}]
            body = {"model": "gpt-4o", "max_tokens": 16, "messages": messages}
            answer = client.post("/c/a/s/one/v1/chat/completions", json=body)
            assert 200 == answer.status_code
        reserved = proxy.wait_for_record(2).reserved
    assert reserved is not None
    cost = answer.json()["copilot_usage"]["total_nano_aiu"]
    assert 0.99 < reserved / cost < 1.01
