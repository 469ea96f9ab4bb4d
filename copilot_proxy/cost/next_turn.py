"""The cost of continuing a session, now and after its prompt has left the cache."""

from copilot_proxy.cost.price_list import PriceList
from copilot_proxy.cost.tokens import Tokens


def next_turn(tokens: Tokens, cached: int, prices: PriceList, *, writes: bool) -> tuple[int, int]:
    """Return two costs of the next turn in nano-AIU: while the prompt is cached, and afterwards.

    The next prompt is assumed to consist of the last prompt and its answer, without the user's next
    message, which is unknown. The next answer is assumed to be as long as the last one. If `writes`
    is True, fresh input is written to the cache, at a higher price.
    """
    prompt = tokens.prompt + tokens.output
    fresh = Tokens(cache_write=prompt) if writes else Tokens(input=prompt)
    rest = prompt - cached
    warm = Tokens(cache_write=rest) if writes else Tokens(input=rest)
    return (
        prices.cost(warm._replace(cache_read=cached, output=tokens.output)),
        prices.cost(fresh._replace(output=tokens.output)),
    )
