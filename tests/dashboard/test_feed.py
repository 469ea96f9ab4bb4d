"""The live stream, without a server."""

import asyncio
from typing import Any

import pytest

from copilot_proxy.dashboard.feed import Feed


class Source:
    """A ledger that takes forever."""

    def __init__(self) -> None:
        self.reads = 0

    def running(self, key: str | None) -> list[dict[str, Any]]:
        return []

    def server(self, key: str | None) -> dict[str, Any]:
        return {}

    async def version(self) -> object:
        return 1

    async def overview(self, key: str | None) -> dict[str, Any]:
        return {}

    async def rows(self, key: str | None, after: int) -> list[dict[str, Any]]:
        self.reads += 1
        if self.reads == 2:
            await asyncio.Event().wait()
        return []


@pytest.mark.anyio
async def test_a_page_that_is_closed_at_once() -> None:
    """A page that is closed before anything was sent leaves nothing behind that would be read."""
    idle = []
    source = Source()
    feed = Feed(source, on_idle=lambda: idle.append(True))
    early = asyncio.ensure_future(feed.subscribe("early"))
    while source.reads < 2:  # noqa: ASYNC110  # turns of the loop, not time
        await asyncio.sleep(0)
    early.cancel()
    await asyncio.gather(early, return_exceptions=True)

    page = await feed.subscribe("other")
    feed.unsubscribe("other", page)
    assert [True] == idle
