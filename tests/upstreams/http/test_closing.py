"""Clients that disconnect as their answer completes do not cost the server a connection."""

import asyncio

import httpx
import pytest

from copilot_proxy.simulator import Simulator
from copilot_proxy.upstreams.http.client_transport import make_transport
from copilot_proxy.upstreams.http.closing import shield_close
from copilot_proxy.upstreams.http.connection_pool import ConnectionPool
from copilot_proxy.upstreams.http.transport import HttpRequest, Transport


async def read(transport: Transport, url: str, has_all: asyncio.Event) -> None:
    """Read an answer to its end, set `has_all`, and close the answer."""
    response = await transport.send(HttpRequest("GET", url, {}, None, {"pool": 1.0}))
    try:
        while await response.read():
            has_all.set()
    finally:
        await response.aclose()


@pytest.mark.parametrize("many", [False, True])
async def test_hanging_up_at_the_end_gives_the_connection_back(
    simulator: Simulator, many: bool
) -> None:
    """The connection is returned to the pool even if closing the answer is interrupted."""
    async with httpx.AsyncClient(limits=httpx.Limits(max_connections=3), timeout=60) as client:
        transport = make_transport(client, many=many)
        for turns in range(30):
            has_all = asyncio.Event()
            reading = asyncio.create_task(read(transport, simulator.url, has_all))
            await has_all.wait()
            for _ in range(turns % 10):
                await asyncio.sleep(0)
            reading.cancel()
            await asyncio.wait({reading})

        has_all = asyncio.Event()
        await read(transport, simulator.url, has_all)
        assert has_all.is_set()
        if isinstance(transport, ConnectionPool):  # httpx's pool, which has no limit on connections
            free = [one for some in transport._idle.values() for one in some]
            assert transport._open == set(free)
        await transport.aclose()


class Body(httpx.AsyncByteStream):
    """A body that finishes closing only when the test allows it."""

    def __init__(self, *, fails: bool) -> None:
        self.fails = fails
        self.begun = asyncio.Event()
        self.may_end = asyncio.Event()
        self.is_closed = False

    async def aclose(self) -> None:
        self.begun.set()
        await self.may_end.wait()
        self.is_closed = True
        if self.fails:
            raise httpx.ReadError("gone")


@pytest.mark.parametrize("fails", [False, True])
async def test_closing_continues_after_a_cancellation(fails: bool) -> None:
    """A cancellation waits until the answer is closed."""
    body = Body(fails=fails)
    closing = asyncio.create_task(shield_close(httpx.Response(200, stream=body)).aclose())
    await body.begun.wait()
    closing.cancel()
    await asyncio.sleep(0)
    assert not closing.done()
    body.may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert body.is_closed


async def test_a_failure_to_close_is_raised() -> None:
    """Without a cancellation, a failure to close is raised."""
    body = Body(fails=True)
    body.may_end.set()
    with pytest.raises(httpx.ReadError):
        await shield_close(httpx.Response(200, stream=body)).aclose()
