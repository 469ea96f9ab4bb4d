"""A reply with several continuations, one of which fails."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from copilot_proxy.errors import UpstreamError
from copilot_proxy.relay.continuations import Continuations


class Single:
    """A reply with the continuation `number`; reading continuation 2 fails."""

    headers = {"x-copilot-proxy-cost": "0.5"}  # noqa: RUF012  # never changed

    def __init__(self, number: int) -> None:
        self.number = number

    def fail(self, error: Any) -> list[Any]:
        return []

    async def whole(self) -> dict[str, Any]:
        if self.number == 2:
            raise UpstreamError("Copilot failed.", hint="Try again.")
        return {"choices": [{"index": self.number}], "usage": {"total_tokens": 3}}

    async def events(self, write: Any = None) -> AsyncGenerator[list[dict[str, Any]], None]:
        yield [{"id": "x", "created": 1, **(await self.whole())}]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_failure_after_others(stream: bool) -> None:
    """Every call is closed, the error says what was charged, and no client retries on its own."""
    ended: list[int] = []

    @asynccontextmanager
    async def open_one(number: int) -> AsyncIterator[Single]:
        yield Single(number)
        ended.append(number)

    with pytest.raises(UpstreamError) as failed:
        async with Continuations(open_one, 3, include_usage=True) as reply:
            if stream:
                assert 2 == len([batch async for batch in reply.events()])
            else:
                await reply.whole()

    assert [0, 1] == ended
    assert "false" == failed.value.headers["x-should-retry"]
    assert "Answered and charged: 2 of 3 continuations. Try again." == failed.value.hint


async def test_the_sum() -> None:
    """Counts and costs are summed over all continuations."""

    @asynccontextmanager
    async def open_one(number: int) -> AsyncIterator[Single]:
        yield Single(number)

    async with Continuations(open_one, 2, include_usage=True) as reply:
        whole = await reply.whole()
        assert ({"total_tokens": 6}, "1.0") == (
            whole["usage"],
            reply.headers["x-copilot-proxy-cost"],
        )
