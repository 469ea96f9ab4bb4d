"""Tuning the garbage collector for serving."""

import gc
import weakref
from typing import Any, cast

import pytest

from copilot_proxy.relay.reply import Reply
from copilot_proxy.routes.streaming import EventStream
from copilot_proxy.server.gc_tuning import tune_gc_for_serving
from copilot_proxy.server.response_cycle import ResponseCycle
from copilot_proxy.simulator import Simulator
from tests.conftest import UNFREEZE, Proxy, settings_at


def test_only_while_the_server_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Existing objects are frozen while the block runs; after it, everything is restored."""
    # The tests themselves freeze the objects that they have loaded, and keep them frozen.
    monkeypatch.setattr(gc, "unfreeze", UNFREEZE)
    gc.unfreeze()
    before = gc.get_threshold()
    with tune_gc_for_serving():
        assert gc.get_freeze_count() > 0
        assert gc.get_threshold()[0] > before[0]

    after = gc.get_threshold(), gc.get_freeze_count()
    # Otherwise the next collection would visit all objects of the tests, which takes seconds.
    gc.freeze()
    assert (before, 0) == after


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses", "/v1/messages"])
def test_streams_leave_no_cycles(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """Streams leave no reference cycles, since collecting them would delay other streams."""
    kept: list[weakref.ref[object]] = []

    def watch(kind: type) -> None:
        original = cast("Any", kind).__init__

        def init(self: object, *args: Any, **more: Any) -> None:
            original(self, *args, **more)
            kept.append(weakref.ref(self))

        monkeypatch.setattr(kind, "__init__", init)

    for kind in (Reply, EventStream, ResponseCycle):
        watch(kind)
    turns = [{"role": "user", "content": "Hi"}]
    body = {"model": "gpt-4.1", "stream": True, "max_tokens": 99, "messages": turns}
    if path.endswith("responses"):
        body = {"model": "gpt-4.1", "stream": True, "input": turns}
    gc.disable()
    try:
        with Proxy(settings_at(simulator)) as proxy, proxy.client() as client:
            client.post(path, json=body).raise_for_status()
            proxy.wait_for_record()
            # The connection keeps its last `ResponseCycle`, which this request replaces.
            client.get("/health")
            left = [type(one()) for one in kept if one() is not None]
            assert [ResponseCycle] == left
    finally:
        gc.enable()
