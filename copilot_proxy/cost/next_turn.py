"""The cost of continuing a session, now and after its prompt has left the cache."""

from copilot_proxy.cost.price_list import PriceList
from copilot_proxy.cost.tokens import Tokens


def next_turn(tokens: Tokens, cached: int, prices: PriceList, *, writes: bool) -> tuple[int, int]:
    """Return the cost of the next turn while the prompt is cached, and after that, in nano-AIU.

    The next prompt is assumed to consist of the last prompt and its answer, and the next answer to
    be as long as the last one. The user's next message is unknown. If `writes` is True, fresh input
    is written to the cache, at a higher price.
    """
    prompt = tokens.prompt + tokens.output
    fresh = Tokens(cache_write=prompt) if writes else Tokens(input=prompt)
    rest = prompt - cached
    warm = Tokens(cache_write=rest) if writes else Tokens(input=rest)
    return (
        prices.cost(warm._replace(cache_read=cached, output=tokens.output)),
        prices.cost(fresh._replace(output=tokens.output)),
    )
