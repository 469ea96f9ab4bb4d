"""The reply to a request for several continuations, which are requested one after another."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing
from decimal import Decimal
from typing import Any, Final, Self

from copilot_proxy.cost.nano_aiu import merged_usage
from copilot_proxy.errors import CopilotProxyError, join_sentences
from copilot_proxy.formats.types import ClientEvent, ClientResponse, Json
from copilot_proxy.relay.reply import EventWriter, ReplySource

_COST: Final = "x-copilot-proxy-cost"
_USAGE: Final = ("usage", "copilot_usage")

Open = Callable[[int], AbstractAsyncContextManager[ReplySource]]
"""Requests the continuation with the given number; leaving the context ends the call to Copilot."""


class Continuations:
    """A `ReplySource` for all continuations; entering its context requests the first one.

    Each individual reply must report its token counts. The counts are added up and, with
    `include_usage`, sent at the end of a stream.
    """

    def __init__(self, open_one: Open, count: int, *, include_usage: bool) -> None:
        self._open = open_one
        self._count = count
        self._include_usage = include_usage
        self._stack = AsyncExitStack()
        self._reply: ReplySource
        self._answered = 0
        self._usages: list[Json] = []
        """The events or responses that contain the token counts."""
        self._costs: list[str | None] = []

    async def __aenter__(self) -> Self:
        self._reply = await self._stack.enter_async_context(self._open(0))
        return self

    async def __aexit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, CopilotProxyError) and self._answered:
            error.headers["x-should-retry"] = "false"
            count = f"Answered and charged: {self._answered} of {self._count} continuations."
            error.hint = join_sentences(count, error.hint)
        await self._stack.__aexit__(kind, error, trace)

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the current reply, and the total cost once it is known."""
        headers = {name: value for name, value in self._reply.headers.items() if name != _COST}
        known = [Decimal(cost) for cost in self._costs if cost is not None]
        if known and len(known) == len(self._costs):
            headers[_COST] = f"{sum(known):f}"
        return headers

    def fail(self, error: CopilotProxyError) -> list[ClientEvent]:
        """Return the events that report `error`."""
        return self._reply.fail(error)

    async def whole(self) -> ClientResponse:
        """Return the response with all continuations. Raises `UpstreamError`."""
        responses: list[ClientResponse] = []
        async for reply in self._replies():
            responses.append(await reply.whole())
            self._costs.append(reply.headers.get(_COST))
        self._usages = responses
        choices = [choice for response in responses for choice in response["choices"]]
        return {**responses[0], "choices": choices, **self._total()}

    async def events(
        self, writer: EventWriter | None = None
    ) -> AsyncGenerator[list[ClientEvent], None]:
        """Yield the events of all continuations, in order. Raises `UpstreamError`."""
        shared: Json = {}
        async for reply in self._replies():
            async with aclosing(reply.events()) as batches:
                async for batch in batches:
                    self._usages += [event for event in batch if event.get("usage")]
                    shared = shared or {name: batch[0][name] for name in ("id", "created")}
                    if events := [{**_bare(one), **shared} for one in batch if one["choices"]]:
                        yield events
        if self._include_usage and self._usages:
            yield [{**_bare(self._usages[-1]), **shared, "choices": [], **self._total()}]

    async def _replies(self) -> AsyncGenerator[ReplySource, None]:
        for number in range(self._count):
            if number:
                # Ends the previous call, so that its record is complete.
                await self._stack.aclose()
                self._reply = await self._stack.enter_async_context(self._open(number))
            yield self._reply
            self._answered += 1

    def _total(self) -> Json:
        total: Json = {"usage": _sum([one["usage"] for one in self._usages if one.get("usage")])}
        copilot = merged_usage(self._usages)
        return total if copilot is None else {**total, "copilot_usage": copilot}


def _bare(event: ClientEvent) -> ClientEvent:
    return {name: value for name, value in event.items() if name not in _USAGE}


def _sum(counts: Sequence[Json]) -> Json:
    """Add up token counts that have the same structure."""
    names = dict.fromkeys(name for one in counts for name in one)
    total: Json = {}
    for name in names:
        values = [one[name] for one in counts if one.get(name) is not None]
        if all(isinstance(value, dict) for value in values):
            total[name] = _sum(values)
        else:
            total[name] = sum(value for value in values if isinstance(value, int | float))
    return total
