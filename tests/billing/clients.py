"""Clients that place orders concurrently, each sending one request at a time."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import httpx

from tests.billing.orders import Order
from tests.billing.server import Server

_LEAVE_SECONDS: Final = 0.15
"""Seconds after which a client that does not receive a stream disconnects."""
_START_SECONDS: Final = 120.0


@dataclass
class Outcome:
    """How an order ended for its client."""

    order: Order
    ended: float
    """As returned by `time.monotonic`."""
    status: int | None = None
    """None if the connection broke before the headers."""
    is_broken: bool = False
    """Whether the connection broke, as it does when the server is killed."""


Hook = Callable[[int], Awaitable[None]]
"""Called with the number of orders taken so far."""


async def place(
    server: Server, orders: Sequence[Order], *, clients: int = 8, hook: Hook | None = None
) -> list[Outcome]:
    """Place all orders, and return their outcomes."""
    waiting = iter(enumerate(orders))
    outcomes: list[Outcome] = []

    async def work() -> None:
        async with _client(server) as client:
            for index, order in waiting:
                if hook is not None:
                    await hook(index)
                outcomes.append(await _place(server, client, order))

    await asyncio.gather(*(work() for _ in range(clients)))
    return outcomes


@asynccontextmanager
async def _client(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=60) as client:
        yield client


async def _place(server: Server, client: httpx.AsyncClient, order: Order) -> Outcome:
    """Place one order; place it again only if it is certain that the order did not arrive."""
    until = time.monotonic() + _START_SECONDS
    outcome = Outcome(order, 0.0)
    while True:
        try:
            await _ask(client, order, outcome)
        except httpx.ConnectError:
            if time.monotonic() > until:
                raise
            await asyncio.sleep(0.02)
            continue
        except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError):
            outcome.is_broken = True
        except httpx.ReadTimeout:
            assert order.kind == "left", order
        outcome.ended = time.monotonic()
        return outcome


async def _ask(client: httpx.AsyncClient, order: Order, outcome: Outcome) -> None:
    leaves = order.kind == "left" and not order.stream
    timeout = httpx.Timeout(60, read=_LEAVE_SECONDS if leaves else 60)
    async with client.stream(
        "POST", order.path, json=order.body, headers=order.headers, timeout=timeout
    ) as answer:
        outcome.status = answer.status_code
        async for _ in answer.aiter_raw():
            if order.kind == "left" and order.stream:
                return
