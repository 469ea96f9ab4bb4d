"""The cause of a cache miss, for prompts whose sizes are exact."""

from dataclasses import replace

import pytest

from copilot_proxy.cost.price_list import PriceList, Tier
from copilot_proxy.cost.prompt_cache import find_cache_miss
from copilot_proxy.cost.prompt_match import Earlier, Prompt
from copilot_proxy.cost.tokens import Tokens

BLOCK = 100
"""The tokens of each block of a prompt."""


def prompt(*blocks: int, read: int = 0, seconds: int = 0) -> Prompt:
    """Return a prompt to GPT with these blocks, of which the first is the system prompt."""
    places = [("system", 1, ""), *(("message", number, "") for number in range(1, len(blocks)))]
    return Prompt(
        model="gpt",
        started_us=seconds * 1_000_000,
        ready_us=seconds * 1_000_000,
        tokens=Tokens(input=BLOCK * len(blocks) - read, cache_read=read),
        tier=None,
        marked=False,
        ttl=300,
        digests=tuple(block.to_bytes(8, "big") for block in blocks),
        sizes=(BLOCK,) * len(blocks),
        places=tuple(places),
    )


def remembered(one: Prompt) -> Earlier:
    tokens, digests = one.tokens.prompt, b"".join(one.digests)
    times = one.started_us, one.ready_us
    return Earlier(one.model, *times, tokens, one.cached, None, 300, 0, 1, digests)


@pytest.mark.parametrize(
    ("changed", "read", "reason"),
    [
        (50, 4992, "prefix_change"),  # everything up to the change was read
        (80, 7936, "prefix_change"),  # the same, but at the border of what counts as a miss
        (80, 6000, "rerouted"),  # most of what was not read had not changed
        (50, 0, "rerouted"),
        (40, 0, "prefix_change"),
        (9, 0, "prefix_change"),  # less than the shortest prompt that is cached
        (90, 8960, None),
    ],
)
def test_a_change(changed: int, read: int, reason: str | None) -> None:
    """A change explains a miss if it caused most of the loss."""
    blocks = [*range(100)]
    earlier = remembered(prompt(*blocks))
    blocks[changed] = 1000
    miss = find_cache_miss(prompt(*blocks, read=read, seconds=10), [earlier], None)

    assert reason == (miss and miss.reason)


def test_a_fork_that_ends_alike() -> None:
    """If the conversation took another course, its messages could not have been read, even if its
    last one is the same."""
    earlier = remembered(prompt(*range(60), *range(100, 139), 0))
    other = prompt(*range(60), *range(200, 239), 0, read=5888, seconds=10)

    assert find_cache_miss(other, [earlier], None) is None


@pytest.mark.parametrize(("threshold", "price"), [(20_000, 10 - 1), (5_000, 20 - 2)])
def test_the_loss_at_the_price_of_the_prompts_length(threshold: int, price: int) -> None:
    """The tokens that were not read are priced like the prompt, as a long or a short one."""
    tiers = Tier(10, 100, 1, 10, 10), Tier(20, 200, 2, 20, 20)
    prices = PriceList(1, *tiers, threshold)
    blocks = range(100)
    miss = find_cache_miss(prompt(*blocks, seconds=600), [remembered(prompt(*blocks))], prices)

    assert miss is not None
    assert ("ttl_expiry", 9984 * price) == (miss.reason, miss.lost)


def test_a_miss_in_a_prompt_that_has_become_long() -> None:
    """Both count: the tokens that were not read, and the higher price of all tokens."""
    prices = PriceList(1, Tier(10, 100, 1, 10, 10), Tier(20, 200, 2, 20, 20), 5_000)
    blocks = range(100)
    earlier = remembered(prompt(*blocks))._replace(tier="default")
    one = replace(prompt(*blocks, seconds=10), tier="long_context")
    miss = find_cache_miss(one, [earlier], prices)

    assert miss is not None
    assert ("tier_crossed", 9984 * (20 - 2) + 10_000 * (20 - 10)) == (miss.reason, miss.lost)
