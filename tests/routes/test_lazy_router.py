"""The framework's router, which is loaded by the first request that needs it."""

import asyncio
from typing import Any

import pytest

from copilot_proxy.asgi import ASGIApp, Receive, Scope, Send
from copilot_proxy.routes import lazy_router


def test_requests_at_the_same_time_load_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them are answered."""
    loaded: list[ASGIApp] = []
    answered: list[Scope] = []

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        answered.append(scope)

    def load() -> ASGIApp:
        loaded.append(answer)
        return answer

    async def ask() -> None:
        nothing: Any = None
        router = lazy_router.LazyRouter()
        await asyncio.gather(*(router({"n": n}, nothing, nothing) for n in range(3)))

    monkeypatch.setattr(lazy_router, "_load", load)
    asyncio.run(ask())

    assert 1 == len(loaded)
    assert 3 == len(answered)
