"""Estimates the cost of a request before it is sent.

The number of tokens in a prompt is estimated from its length. For a large prompt, it is estimated
in proportion to the session's last prompt, for which the number is known. Tokens that the session
has just sent count as cached. The expected length of the output is the 90th percentile of the
model's recent answers.
"""

import time
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

from copilot_proxy.cost.estimated_tokens import TOKENS_PER_ANSWER
from copilot_proxy.cost.price_list import PriceList
from copilot_proxy.cost.price_table import table_prices
from copilot_proxy.cost.tokens import Tokens
from copilot_proxy.formats.token_estimate import request_tokens
from copilot_proxy.formats.types import ClientRequest
from copilot_proxy.large_work import LARGE
from copilot_proxy.relay.costs import learned_prices, prices_of
from copilot_proxy.relay.records import RequestRecord

_CACHE_SECONDS: Final = 300.0
"""Seconds for which prompts stay in a provider's cache."""
_FIRST_OUTPUT: Final = TOKENS_PER_ANSWER
"""The output tokens to expect from a model that has not answered yet."""
_RECENT: Final = 50
"""The number of answers to remember per model."""
_SHARE: Final = 0.9
"""The next answer is expected to be as long as this quantile of recent answers."""
_MAX_SESSIONS: Final = 500
_SMALL: Final = 4096
_BYTES_PER_TOKEN: Final = 4
"""Used for requests of less than `_SMALL` bytes. Their answers cost much more than their prompts,
so counting the tokens is not worth the time."""
_MAX_GROWTH: Final = 1.25
"""A large request that has grown by more than this factor since the session's last one may contain
a file, whose size says little about its tokens. Otherwise, the tokens are estimated in proportion
to the size."""


class _Prompt(NamedTuple):
    at: float
    tokens: int
    size: int
    """The size of the request in bytes."""


class Estimate(NamedTuple):
    """The expected cost of a request."""

    nano: int
    """In nano-AIU; 0 if the price is unknown."""
    output: int = 0
    """The expected tokens of the answer."""
    is_guess: bool = False
    """Whether `output` is a guess, because the model has not answered yet."""
    prices: PriceList | None = None
    tokens: tuple[int, int] = (0, 0)
    """The tokens of the prompt, and how many of them are probably in the cache."""

    @property
    def prompt(self) -> int:
        """The cost of the prompt, which is part of `nano`."""
        return self.prices.highest_cost(*self.tokens, 0) if self.prices is not None else 0

    @property
    def least(self) -> int | None:
        """The lowest amount to reserve if the output is a guess: the cost of the prompt.

        None if the output is not a guess.
        """
        return self.prompt if self.is_guess else None


class _RecentOutputs:
    """The output tokens of a model's recent answers."""

    def __init__(self) -> None:
        self.expected = _FIRST_OUTPUT
        """The number of tokens that the next answer is expected to have."""
        self._latest: deque[int] = deque()
        self._sorted: list[int] = []

    def add(self, tokens: int) -> None:
        """Add an answer, and forget the oldest one if there are too many."""
        self._latest.append(tokens)
        insort(self._sorted, tokens)
        if len(self._latest) > _RECENT:
            del self._sorted[bisect_left(self._sorted, self._latest.popleft())]
        self.expected = self._sorted[int(_SHARE * (len(self._sorted) - 1))]


class Estimator:
    """Learns from answers, and estimates the cost of later requests."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` returns seconds."""
        self._clock = clock
        self._outputs: dict[str, _RecentOutputs] = {}
        self._prompts: dict[tuple[str, str], _Prompt] = {}

    def learn(self, record: RequestRecord, tokens: Tokens) -> None:
        """Learn from a completed request with these `tokens`."""
        model, session = record.model, record.attribution.session
        if record.error is not None or record.client_gone or record.usage is None or model is None:
            return
        self.add_output(model, tokens.output)
        if session is not None:
            self._prompts.pop((model, session), None)
            self._prompts[model, session] = _Prompt(self._clock(), tokens.prompt, record.size)
            if len(self._prompts) > _MAX_SESSIONS:
                del self._prompts[next(iter(self._prompts))]

    def add_output(self, model: str, tokens: int) -> None:
        """Learn from a model's answer with this number of output tokens."""
        outputs = self._outputs.get(model)
        if outputs is None:
            outputs = self._outputs[model] = _RecentOutputs()
        outputs.add(tokens)

    def must_count(self, record: RequestRecord) -> bool:
        """Return whether `estimate` must count a large prompt, which takes time."""
        return (
            record.size >= LARGE
            and record.estimated_prompt is None
            and self._in_proportion(record) is None
        )

    def _in_proportion(self, record: RequestRecord) -> int | None:
        """Return the token count of a large prompt, estimated from the session's last prompt.

        Copilot has counted the tokens of that prompt. Returns None if there is no such prompt, or
        if the sizes differ too much.
        """
        seen = self._prompts.get((record.model or "", record.attribution.session or ""))
        if record.size < LARGE or seen is None or seen.size == 0:
            return None
        growth = record.size / seen.size
        return round(seen.tokens * growth) if 1 / _MAX_GROWTH <= growth <= _MAX_GROWTH else None

    def estimate(self, record: RequestRecord, request: ClientRequest) -> Estimate:
        """Return the expected cost of `request`."""
        model, listed, session = record.model or "", record.listed, record.attribution.session
        prices = prices_of(listed) if listed is not None else None
        if prices is None:
            prices = table_prices(model)
            if prices is None and listed is not None:
                prices = learned_prices(listed)
            if prices is None:
                return Estimate(0)
        prompt, cached = record.estimated_prompt or self._in_proportion(record), 0
        if prompt is None:
            is_small = 0 < record.size < _SMALL
            prompt = record.size // _BYTES_PER_TOKEN if is_small else request_tokens(request)
        if session is not None:
            seen = self._prompts.get((model, session))
            if seen is not None and self._clock() - seen.at < _CACHE_SECONDS:
                cached = min(prompt, seen.tokens)
        limit = record.client_api.output_limit(request)
        outputs = self._outputs.get(model)
        output = outputs.expected if outputs is not None else _FIRST_OUTPUT
        output = output if limit is None else min(output, limit)
        cost = prices.highest_cost(prompt, cached, output)
        return Estimate(cost, output, outputs is None, prices, (prompt, cached))
