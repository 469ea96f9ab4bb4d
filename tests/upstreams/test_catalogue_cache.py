"""The cache of model lists: shared reads, expiry, and pauses after failures."""

import asyncio
from typing import Any

import pytest

from copilot_proxy.catalogue import Catalogue, parse_models
from copilot_proxy.errors import BrokenResponse, UpstreamError, UpstreamRefusal
from copilot_proxy.upstreams.catalogue_cache import CatalogueCache


class Upstream:
    """A model list that counts how often it is read, and a clock."""

    def __init__(self) -> None:
        self.reads = 0
        self.ended = 0
        self.fetching = asyncio.Event()
        self.now = 0.0
        self.outcome: UpstreamError | str = "a"
        self.open = asyncio.Event()
        self.open.set()
        self.catalogues = CatalogueCache(self.fetch, clock=lambda: self.now)

    async def fetch(self, auth: Any) -> Catalogue:
        self.reads += 1
        self.fetching.set()
        try:
            await self.open.wait()
        finally:
            self.ended += 1
        if isinstance(self.outcome, UpstreamError):
            raise self.outcome
        return parse_models({"data": [{"id": self.outcome}]})

    async def ids(self, auth: Any, max_age: float = 600.0) -> list[str]:
        return [model.id for model in await self.catalogues.get(auth, max_age)]


class Auth:
    """A signed-in account."""


@pytest.fixture
def upstream() -> Upstream:
    return Upstream()


async def test_kept_for_ten_minutes(upstream: Upstream) -> None:
    """A list is cached for ten minutes, or for as long as the caller wants."""
    auth = Auth()
    await upstream.ids(auth)
    upstream.now = 0.9
    await upstream.ids(auth, 1.0)
    upstream.now = 599
    await upstream.ids(auth)
    assert 1 == upstream.reads

    await upstream.ids(auth, 1.0)
    assert 2 == upstream.reads
    upstream.now = 1300
    await upstream.ids(auth)
    assert 3 == upstream.reads


async def test_each_account_has_its_own(upstream: Upstream) -> None:
    """Accounts do not share model lists."""
    one, other = Auth(), Auth()
    assert ["a"] == await upstream.ids(one)
    upstream.outcome = "b"

    assert ["b"] == await upstream.ids(other)
    assert ["a"] == await upstream.ids(one)


async def test_loaded_once_for_all(upstream: Upstream) -> None:
    """Concurrent requests share one load, even if one of them is cancelled."""
    auth = Auth()
    upstream.open.clear()
    waiting = [asyncio.create_task(upstream.ids(auth)) for _ in range(20)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    upstream.open.set()
    results = await asyncio.gather(*waiting, return_exceptions=True)

    assert isinstance(results[0], asyncio.CancelledError)
    assert [["a"]] * 19 == results[1:]
    assert 1 == upstream.reads


async def test_pauses_after_failures(upstream: Upstream) -> None:
    """After a failure, the same error is returned during increasingly long pauses."""
    auth = Auth()
    upstream.outcome = BrokenResponse("no list")
    moments = []
    for upstream.now in range(100):
        before = upstream.reads
        with pytest.raises(BrokenResponse):
            await upstream.ids(auth)
        if upstream.reads > before:
            moments.append(upstream.now)

    assert [0, 5, 15, 35, 75] == moments
    upstream.outcome, upstream.now = "a", 1000
    assert ["a"] == await upstream.ids(auth)
    upstream.outcome, upstream.now = BrokenResponse("again"), 2000
    assert ["a"] == await upstream.ids(auth)
    upstream.now = 2004
    await upstream.ids(auth)
    upstream.now = 2006
    await upstream.ids(auth)
    assert 8 == upstream.reads


async def test_retry_after_is_honored(upstream: Upstream) -> None:
    """After a rate limit, the list is not loaded before Retry-After has passed."""
    auth = Auth()
    upstream.outcome = UpstreamRefusal("slow", upstream_status=429, headers={"retry-after": "3600"})
    for upstream.now in (0, 10, 3599):
        with pytest.raises(UpstreamRefusal):
            await upstream.ids(auth)
    assert 1 == upstream.reads

    upstream.now, upstream.outcome = 3601, "a"
    assert ["a"] == await upstream.ids(auth)


async def test_requests_in_progress_end_with_the_upstream(upstream: Upstream) -> None:
    """A list that is still loading when the server stops leaves no connection open."""
    upstream.open.clear()
    waiting = asyncio.create_task(upstream.ids(Auth()))
    await upstream.fetching.wait()
    waiting.cancel()
    await asyncio.wait([waiting])

    await upstream.catalogues.aclose()

    assert 1 == upstream.ended
