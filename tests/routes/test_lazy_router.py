"""The framework's router, which is loaded by the first request that needs it."""

import asyncio
import socket
import threading
from typing import Any
from urllib.parse import urlsplit

import pytest

from copilot_proxy.asgi import ASGIApp, Receive, Scope, Send
from copilot_proxy.routes import lazy_router
from copilot_proxy.simulator import Simulator
from tests import conftest
from tests.conftest import Proxy, settings_at


def test_concurrent_requests_load_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Concurrent requests load the router once, and all are answered."""
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
    """If the new files do not match the modules in memory, the error says what to do.

    Paths that are already loaded still work.
    """

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


def test_a_client_that_closed_its_side(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that closed its end of the connection after a GET still gets its answer.

    This is true even while the router loads.
    """
    load, may_load = lazy_router._load, threading.Event()

    def load_later() -> ASGIApp:
        may_load.wait(60)
        return load()

    monkeypatch.setattr(lazy_router, "_load", load_later)
    monkeypatch.setattr(conftest, "_ROUTERS", [])
    with Proxy(settings_at(simulator)) as proxy, proxy.client() as client:
        address = urlsplit(proxy.url)
        with socket.create_connection((address.hostname or "", address.port or 0), 60) as half:
            half.sendall(b"GET /v1/models/gpt-4.1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
            half.shutdown(socket.SHUT_WR)
            client.get("/health")  # by now, the server has read both
            may_load.set()
            answer = b"".join(iter(lambda: half.recv(65536), b""))

    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert answer.endswith(b"}")
