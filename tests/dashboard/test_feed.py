"""The data that the dashboard sends to each page that is open."""

import asyncio
from typing import Any

import pytest

from copilot_proxy.dashboard import feed as feed_module
from copilot_proxy.dashboard.feed import Feed
from copilot_proxy.errors import CopilotProxyError


class Source:
    """A ledger without requests."""

    def __init__(self, hanging_read: int = 0) -> None:
        """Block forever on the read with the number `hanging_read`."""
        self._hanging_read = hanging_read
        self._reads = 0
        self.hangs = asyncio.Event()
        self.failures = asyncio.Semaphore(0)

    def running(self, key: str | None) -> list[dict[str, Any]]:
        return []

    def server(self, key: str | None) -> dict[str, Any]:
        return {}

    async def version(self) -> object:
        self.failures.release()
        raise CopilotProxyError("The ledger cannot be read.")

    async def overview(self, key: str | None) -> dict[str, Any]:
        return {}

    async def rows(self, key: str | None, after: int) -> list[dict[str, Any]]:
        self._reads += 1
        if self._reads == self._hanging_read:
            self.hangs.set()
            await asyncio.Event().wait()
        return []


async def test_a_page_that_is_closed_before_its_first_data() -> None:
    """If a page is closed while its first data is being read, nothing more is read for it."""
    source, idle = Source(hanging_read=2), asyncio.Event()
    opening = asyncio.ensure_future(Feed(source, on_idle=idle.set).subscribe(None))
    await source.hangs.wait()
    opening.cancel()
    await asyncio.wait({opening})

    assert opening.cancelled()
    assert idle.is_set()


async def test_a_ledger_that_cannot_be_read(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The error is logged once, however long a page is open."""
    for name in ("_TICK", "_IDLE_TICK"):
        monkeypatch.setattr(feed_module, name, 0)
    source = Source()
    feed = Feed(source, on_idle=lambda: None)
    page = await feed.subscribe(None)
    for _ in range(3):
        await source.failures.acquire()
    feed.unsubscribe(None, page)

    assert ["The dashboard cannot be updated. The ledger cannot be read."] == caplog.messages
