"""The concurrency limit: the queue, its order and limits, and slots that are always freed."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from copilot_proxy.errors import UsageError
from copilot_proxy.middleware.concurrency import ConcurrencyLimiter
from copilot_proxy.routes.services import Services
from copilot_proxy.settings import load_settings
from copilot_proxy.simulator import Simulator
from tests.conftest import Proxy, settings_at

PATH = "/v1/chat/completions"


def chat(text: str = "Hi", **more: Any) -> dict[str, Any]:
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": text}], **more}


class WatchedLimiter(ConcurrencyLimiter):
    """Reports when a request starts to wait, and when a slot is freed."""

    def __init__(self, *limits: Any) -> None:
        super().__init__(*limits)
        self.queued = threading.Semaphore(0)
        self.released = threading.Semaphore(0)

    async def acquire(self, gone: Any) -> bool:
        self.queued.release()
        try:
            return await super().acquire(gone)
        finally:
            self.released.release()

    def release(self) -> None:
        super().release()
        self.released.release()


class SmallProxy(Proxy):
    """A server whose slots can be watched."""

    limiter: WatchedLimiter

    def services(self) -> Services:
        made, limits = super().services(), self.settings
        self.limiter = WatchedLimiter(
            limits.max_concurrency, limits.max_queue, limits.queue_timeout
        )
        return replace(made, limiter=self.limiter)

    def cut(self) -> None:
        """Cancel all open requests, as a server does on an immediate shutdown."""

        def cancel() -> None:
            for task in list(self._server.server_state.tasks):
                task.cancel()

        self._loop.call_soon_threadsafe(cancel)

    def wait_until_free(self) -> None:
        """Wait until no request has a slot or waits for one."""
        while (self.limiter.limit, 0) != (self.limiter.free, self.limiter.waiting):
            assert self.limiter.released.acquire(timeout=60), "a slot was lost"


def small(simulator: Simulator, **limits: object) -> SmallProxy:
    return SmallProxy(settings_at(simulator, **{"max_concurrency": 1, "max_queue": 5, **limits}))


@contextmanager
def occupied(proxy: SmallProxy, simulator: Simulator) -> Iterator[None]:
    """While the block runs, one slot is occupied by an endless stream."""
    simulator.state.faults.on("stall_mid_stream", times=1)
    with (
        proxy.client() as client,
        client.stream("POST", PATH, json=chat("hold", stream=True)) as answer,
    ):
        lines = answer.iter_lines()
        assert "data:" in next(lines)
        yield


def waits(proxy: SmallProxy, ask: Callable[[], httpx.Response]) -> "Future[httpx.Response]":
    """Start a request, and return once it waits for a slot."""
    pool = ThreadPoolExecutor(1)
    asked = pool.submit(ask)
    assert proxy.limiter.queued.acquire(timeout=60)
    pool.shutdown(wait=False)
    return asked


def post(proxy: Proxy, body: Any, path: str = PATH) -> httpx.Response:
    with proxy.client() as client:
        return client.post(path, json=body)


def connected(proxy: Proxy) -> socket.socket:
    address = urlsplit(proxy.url)
    return socket.create_connection((address.hostname or "", address.port or 0), 60)


def test_waiting_requests_are_answered_in_order(simulator: Simulator) -> None:
    """Requests over the limit wait, and are answered in the order of their arrival."""
    names = [f"number {n}" for n in range(4)]
    with small(simulator) as proxy:
        with occupied(proxy, simulator):
            waiting = [waits(proxy, partial(post, proxy, chat(name))) for name in names]
            assert not any(asked.done() for asked in waiting)
        answers = [asked.result(60) for asked in waiting]
        proxy.wait_until_free()

    asked = [r.body["messages"][-1]["content"] for r in simulator.state.requests if r.body]
    assert [200] * 4 == [answer.status_code for answer in answers]
    assert ["hold", *names] == asked


def test_a_large_body_can_wait(simulator: Simulator) -> None:
    """A body of any size that arrives while the request waits is not lost."""
    text = "word " * 200_000
    with small(simulator) as proxy:
        with occupied(proxy, simulator):
            asked = waits(proxy, lambda: post(proxy, chat(text)))
        assert asked.result(60).status_code in (200, 400)

    assert text == simulator.state.requests[-1].body["messages"][0]["content"]


@pytest.mark.parametrize("path", [PATH, "/v1/responses", "/v1/messages", "/v1/embeddings"])
def test_beyond_the_queue(simulator: Simulator, path: str) -> None:
    """If the queue is full, the client receives a 503 with Retry-After before the body is read."""
    with (
        small(simulator, max_queue=0) as proxy,
        occupied(proxy, simulator),
        proxy.client() as client,
    ):
        refused = client.post(path, content=b"{")

    error = refused.json()["error"]
    assert (503, "server_busy", "5") == (
        refused.status_code,
        error["code"],
        refused.headers["retry-after"],
    )
    assert "COPILOT_PROXY_MAX_CONCURRENCY" in error["hint"]
    assert ("error" == refused.json().get("type")) == ("messages" in path)
    assert ["hold"] == [
        r.body["messages"][-1]["content"] for r in simulator.state.requests if r.body
    ]


def test_the_queue_is_limited(simulator: Simulator) -> None:
    """The queue holds as many requests as the setting allows; more requests receive a 503."""
    with small(simulator, max_queue=1) as proxy:
        with occupied(proxy, simulator):
            asked = waits(proxy, lambda: post(proxy, chat()))
            assert 503 == post(proxy, chat()).status_code
        assert 200 == asked.result(60).status_code


def test_requests_wait_for_a_limited_time(simulator: Simulator) -> None:
    """A request that has waited for the maximum time gets a 503, and leaves the queue."""
    with small(simulator, queue_timeout=0.05) as proxy, occupied(proxy, simulator):
        refused = post(proxy, chat())
        assert 0 == proxy.limiter.waiting

    assert (503, "server_busy") == (refused.status_code, refused.json()["error"]["code"])
    assert "0.05 s." in refused.json()["error"]["message"]


def test_a_client_that_disconnects_frees_its_place_in_the_queue(simulator: Simulator) -> None:
    """A client that disconnects while waiting frees its place, and Copilot is not called."""
    body = json.dumps(chat("left")).encode()
    head = f"POST {PATH} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}\r\n\r\n"
    with small(simulator, max_queue=1) as proxy:
        with occupied(proxy, simulator):
            with connected(proxy) as leaver:
                leaver.sendall(head.encode() + body)
                assert proxy.limiter.queued.acquire(timeout=60)
            assert proxy.limiter.released.acquire(timeout=60)
            asked = waits(proxy, lambda: post(proxy, chat("stayed")))
        assert 200 == asked.result(60).status_code
        proxy.wait_until_free()

    asked_for = [r.body["messages"][-1]["content"] for r in simulator.state.requests if r.body]
    assert ["hold", "stayed"] == asked_for


def test_health_and_models_never_wait(simulator: Simulator) -> None:
    """A busy server still answers /health, and lists models."""
    with (
        small(simulator, max_queue=0) as proxy,
        occupied(proxy, simulator),
        proxy.client() as client,
    ):
        codes = [client.get(path).status_code for path in ("/health", "/v1/models", "/schema")]

    assert [200] * 3 == codes


def leave_midway(proxy: Proxy) -> None:
    with proxy.client() as client, client.stream("POST", PATH, json=chat(stream=True)) as answer:
        next(answer.iter_lines())


def leave_in_the_body(proxy: Proxy) -> None:
    with connected(proxy) as conn:
        conn.sendall(
            f"POST {PATH} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n{{".encode()
        )


ENDS: dict[str, tuple[str | None, Callable[[Proxy], Any]]] = {
    "whole": (None, lambda p: post(p, chat())),
    "stream": (None, lambda p: post(p, chat(stream=True))),
    "refused": ("server_error_500", lambda p: post(p, chat())),
    "cut": ("cut_mid_event", lambda p: post(p, chat(stream=True))),
    "broken": ("html_instead", lambda p: post(p, chat(stream=True))),
    "no JSON": (None, lambda p: post(p, "no")),
    "no model": (None, lambda p: post(p, chat(model="none"))),
    "no route": (None, lambda p: post(p, {}, "/nowhere")),
    "embeddings": (
        None,
        lambda p: post(p, {"model": "text-embedding-3-small", "input": "x"}, "/v1/embeddings"),
    ),
    "left": ("stall_mid_stream", leave_midway),
    "left before": (None, leave_in_the_body),
}


@pytest.mark.parametrize("end", ENDS)
def test_no_slot_is_lost(simulator: Simulator, end: str) -> None:
    """However a request ends, its slot is freed."""
    fault, ask = ENDS[end]
    with small(simulator) as proxy:
        for _ in range(3):
            if fault is not None:
                simulator.state.faults.on(fault, times=1)
            ask(proxy)
            assert proxy.limiter.released.acquire(timeout=60)
            proxy.wait_until_free()


def test_no_slot_is_lost_when_the_server_is_stopped(simulator: Simulator) -> None:
    """A shutdown frees the slots of open requests, and ends waiting requests."""
    with small(simulator) as proxy, occupied(proxy, simulator):
        asked = waits(proxy, lambda: post(proxy, chat()))
        proxy.cut()
        stopped = asked.result(60)
        assert (503, "server_stopped") == (stopped.status_code, stopped.json()["error"]["code"])
        proxy.wait_until_free()


@pytest.mark.parametrize(
    "setting",
    [
        {"max_concurrency": 0},
        {"max_concurrency": "many"},
        {"max_queue": -1},
        {"max_queue": 1.5},
        {"queue_timeout": 0},
        {"receive_timeout": -1},
        {"receive_timeout": "soon"},
    ],
    ids=str,
)
def test_invalid_limits(setting: dict[str, object]) -> None:
    """A limit that allows no requests, or is not a number, is an error at startup."""
    with pytest.raises(UsageError):
        load_settings(setting)
