"""The framework's router, which is loaded by the first request that needs it."""

import asyncio
from typing import Any

import pytest

from copilot_proxy.asgi import ASGIApp, Receive, Scope, Send
from copilot_proxy.routes import lazy_router
from copilot_proxy.simulator import Simulator
from tests import conftest
from tests.conftest import Proxy, settings_at


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


def test_an_update_of_the_running_program(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """If the new files do not fit the old ones in memory, the error says what to do; the paths that
    are loaded already work."""

    def load() -> ASGIApp:
        raise ImportError("cannot import name 'new' from 'copilot_proxy.old'")

    monkeypatch.setattr(lazy_router, "_load", load)
    monkeypatch.setattr(conftest, "_ROUTERS", [])
    with Proxy(settings_at(simulator)) as proxy, proxy.client() as client:
        refused = client.get("/metrics")
        models = client.get("/v1/models")

    assert (500, 200) == (refused.status_code, models.status_code)
    assert "restart it" in refused.json()["error"]["hint"]
    assert "cannot import name" in caplog.text
