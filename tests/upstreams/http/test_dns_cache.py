"""The DNS cache: shared lookups, and lookups that hang."""

import asyncio
import socket
import threading
from typing import Any

import pytest

from copilot_proxy.upstreams.http import dns_cache
from copilot_proxy.upstreams.http.dns_cache import DnsCache

HERE = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 1))]


class NameServer:
    """Answers when the test allows it, and counts lookups."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lookups = 0
        self.is_in_trouble = False
        self.may_answer = threading.Event()
        self.may_answer.set()
        monkeypatch.setattr(socket, "getaddrinfo", self._answer)

    def _answer(self, *_: Any, **__: Any) -> list[Any]:
        self.lookups += 1
        assert self.may_answer.wait(60)
        if self.is_in_trouble:
            raise socket.gaierror(socket.EAI_AGAIN, "try again")
        return HERE


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> NameServer:
    return NameServer(monkeypatch)


async def test_concurrent_lookups_are_shared(server: NameServer) -> None:
    """Concurrent connections share one lookup, even if they are a few seconds apart."""
    names = DnsCache()
    found = await asyncio.gather(*(names.addresses("a.example", 1) for _ in range(100)))
    again = await names.addresses("a.example", 1)

    assert 1 == server.lookups
    assert all(HERE == one for one in [*found, again])


async def test_results_expire(server: NameServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Results expire, and are dropped when a host cannot be reached."""
    names = DnsCache()
    await names.addresses("a.example", 1)
    names.remove("a.example", 1)
    await names.addresses("a.example", 1)
    monkeypatch.setattr(dns_cache, "_MAX_AGE", 0.0)
    await names.addresses("a.example", 1)

    assert 3 == server.lookups


async def test_failures_are_shared_and_not_cached(server: NameServer) -> None:
    """A failed lookup fails for everyone who waits for it, and is not cached."""
    names = DnsCache()
    server.is_in_trouble = True
    results = await asyncio.gather(
        *(names.addresses("a.example", 1) for _ in range(3)), return_exceptions=True
    )
    server.is_in_trouble = False

    assert all(isinstance(one, socket.gaierror) for one in results)
    assert HERE == await names.addresses("a.example", 1)


@pytest.mark.parametrize("name", ["a..example", f"{'a' * 64}.example"])
async def test_malformed_names_are_not_found(name: str) -> None:
    """A malformed name fails like an unknown name."""
    with pytest.raises(socket.gaierror):
        await DnsCache().addresses(name, 1)


async def test_a_cancelled_waiter_does_not_cancel_the_lookup(server: NameServer) -> None:
    """A lookup continues even if a request that waits for it is cancelled."""
    names = DnsCache()
    server.may_answer.clear()
    first, second = (asyncio.create_task(names.addresses("a.example", 1)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait([first])
    server.may_answer.set()

    assert HERE == await second
    assert first.cancelled()


def test_a_hanging_lookup_does_not_delay_the_end(server: NameServer) -> None:
    """A hanging lookup does not delay closing the event loop."""
    server.may_answer.clear()

    async def ask() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await DnsCache().addresses("a.example", 1)

    asyncio.run(ask())
    assert not server.may_answer.is_set()
    server.may_answer.set()
