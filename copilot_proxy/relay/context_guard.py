"""Refuses prompts that have become so long that every token of them costs more.

Some models have a second, higher price for long prompts. Agents compact a conversation when the
model refuses it as too long, but not when it becomes dear; so the refusal here looks the same.
Requests without tools pass: agents ask for the summary with one, and chat clients cannot compact.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from copilot_proxy.cost.estimate import prompt_tokens
from copilot_proxy.cost.tokens import from_usage
from copilot_proxy.errors import RequestError
from copilot_proxy.relay.admission import Admission
from copilot_proxy.relay.costs import prices_of
from copilot_proxy.relay.records import RequestRecord

_MIN_BYTES: Final = 2
"""Bytes of a request that a token takes at least; most take four or more."""
_MAX_KNOWN: Final = 500


class ContextGuard:
    """Guards the price threshold, and then asks `admission`."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._ratios: dict[tuple[str | None, str | None], float] = {}
        """How many tokens the last prompt had for each estimated one, by session and model."""

    def __call__(self, record: RequestRecord) -> None:
        """Learn from a request that has ended how far the estimate was off."""
        tokens = from_usage(record.usage)
        if not record.estimated_prompt or tokens is None or not tokens.prompt:
            return
        key = (record.who.session or record.who.client, record.model)
        self._ratios.pop(key, None)
        self._ratios[key] = tokens.prompt / record.estimated_prompt
        if len(self._ratios) > _MAX_KNOWN:
            del self._ratios[next(iter(self._ratios))]

    async def admit(self, record: RequestRecord, request: Mapping[str, Any]) -> None:
        """Raise `RequestError` if the prompt is longer than the model's first price is for."""
        threshold = _threshold(record)
        if threshold is not None and record.tools and record.body_bytes > _MIN_BYTES * threshold:
            # Walking through a megabyte of JSON must not block other requests.
            record.estimated_prompt = await asyncio.to_thread(prompt_tokens, request)
            key = (record.who.session or record.who.client, record.model)
            tokens = round(record.estimated_prompt * self._ratios.get(key, 1.0))
            if tokens > threshold:
                raise _too_long(tokens, threshold)
        await self._admission.admit(record, request)


def _threshold(record: RequestRecord) -> int | None:
    """Return the tokens above which the model costs more; None if its price does not change."""
    prices = prices_of(record.listed) if record.listed is not None else None
    return prices.threshold if prices is not None and prices.long_context else None


def _too_long(tokens: int, threshold: int) -> RequestError:
    # The words are Copilot's own for a prompt that is too long; the clients' APIs know them.
    return RequestError(
        f"prompt token count of {tokens} exceeds the limit of {threshold}",
        code="context_length_exceeded",
        hint="Compact the conversation: above this limit, every token costs more, and the server's "
        "setting context_guard refuses that.",
        headers={"x-should-retry": "false"},
    )
