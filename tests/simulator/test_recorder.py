"""The simulator's records and its control endpoints."""

import threading

import httpx
import pytest

from copilot_proxy.simulator import Simulator
from copilot_proxy.simulator.recorder import masked
from tests.conftest import NO_TLS


def test_every_request_is_recorded(simulator, copilot):
    """Records have method, path, headers, body, initiator, vision flag and status."""
    copilot.post(
        "/chat/completions?x=1",
        {"model": "none"},
        x_initiator="agent",
        copilot_vision_request="true",
    )
    first, second = simulator.state.requests
    assert ("GET", "/copilot_internal/v2/token", 200) == (first.method, first.path, first.status)
    assert (None, False, None) == (first.initiator, first.vision, first.body)
    assert ("POST", "/chat/completions", "x=1", 400) == (
        second.method,
        second.path,
        second.query,
        second.status,
    )
    assert ("agent", True, {"model": "none"}) == (second.initiator, second.vision, second.body)
    assert "vscode/1.137.0" == second.headers["editor-version"]
    second.done.wait(60)
    assert ("complete", False) == (second.finished, second.closed_by_client)
    assert first.time <= second.time <= second.ended


def test_a_client_that_leaves_a_stream_early_is_noticed(simulator, copilot):
    """A disconnect is recorded long before the stream would have ended."""
    simulator.state.pace = 0.02
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Count to 9000"}]}
    with copilot.http.stream(
        "POST", "/chat/completions", json={**body, "stream": True}, headers=copilot.headers
    ) as answer:
        next(answer.iter_bytes())
    record = simulator.state.recorder.wait_for(lambda one: one.finished == "client_gone", 60)
    assert record.closed_by_client


def test_a_disconnect_from_a_fast_stream_is_noticed(simulator, copilot):
    """A disconnect is noticed even if there are no pauses between events."""
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Count to 100000"}]}
    with copilot.http.stream(
        "POST", "/chat/completions", json={**body, "stream": True}, headers=copilot.headers
    ) as answer:
        next(answer.iter_bytes())
    simulator.state.recorder.wait_for(lambda one: one.closed_by_client, 60)


def test_waiting_times_out(simulator):
    """Waiting raises TimeoutError if no such request arrives."""
    with pytest.raises(TimeoutError):
        simulator.state.recorder.wait_for(lambda record: True, timeout=0.01)


async def test_waiting_without_blocking(simulator):
    """Waiting also works without blocking the event loop."""
    async with httpx.AsyncClient(
        base_url=simulator.url, trust_env=False, verify=NO_TLS, timeout=60
    ) as client:
        await client.get("/_ping")
    record = await simulator.state.recorder.wait_for_async(lambda one: one.path == "/_ping")
    assert "GET" == record.method


def test_waiting_for_a_later_request(simulator, copilot):
    """A later request ends the wait."""
    found = []
    waiter = threading.Thread(
        target=lambda: found.append(
            simulator.state.recorder.wait_for(lambda one: one.path == "/models")
        )
    )
    waiter.start()
    copilot.get("/models")
    waiter.join(60)
    assert ["/models"] == [record.path for record in found]


def test_concurrent_requests_are_counted(simulator, copilot):
    """The number of concurrent requests is recorded."""
    simulator.state.faults.on("stall_before_headers", path="/_ping")

    def ask():
        with pytest.raises(httpx.TransportError):
            httpx.get(simulator.url + "/_ping", trust_env=False, verify=NO_TLS, timeout=60)

    clients = [threading.Thread(target=ask) for _ in range(3)]
    for client in clients:
        client.start()
    recorder = simulator.state.recorder
    recorder.wait_for(lambda _: recorder.concurrency.now == 3)
    assert (3, 3) == (simulator.state.concurrency.now, simulator.state.concurrency.max)
    simulator.stop()
    for client in clients:
        client.join(60)
    assert (0, 3) == (simulator.state.concurrency.now, simulator.state.concurrency.max)
    recorder.clear()
    assert (0, []) == (simulator.state.concurrency.max, simulator.state.requests)


def test_requests_are_shown_without_secrets(copilot):
    """The list of requests masks tokens and device codes."""
    body = {"client_id": "Iv1.b507a08c87ecfe98", "device_code": "secret"}
    copilot.http.post("/login/oauth/access_token", json=body)
    copilot.get("/models")
    answer = copilot.http.get("/_simulator/requests")
    found = answer.json()
    assert (1, {"now": 0, "max": 1}) == (found["exchanges"], found["concurrency"])
    shown = [one["headers"].get("authorization") for one in found["requests"]]
    assert ["token ghu_***", None, "Bearer tid=***"] == shown
    assert "secret" not in answer.text
    assert "/_simulator/requests" not in answer.text


@pytest.mark.parametrize(
    ("header", "expected"),
    [("Bearer sk-123456", "Bearer ***"), ("token gho_abc", "token gho_***"), ("", " ***")],
)
def test_masks_keep_the_kind_of_token(header, expected):
    """A masked token keeps its prefix."""
    assert expected == masked(header)


def test_faults_are_controlled_over_http(simulator, copilot):
    """PUT, DELETE and GET under /_simulator/faults control the faults."""
    body = {"times": 1, "path": "/chat/completions", "value": 9}
    assert {"rate_limited": {"value": 9, "path": "/chat/completions", "times": 1}} == (
        copilot.http.put("/_simulator/faults/rate_limited", json=body).json()
    )
    assert "9" == copilot.chat().headers["retry-after"]
    copilot.http.put("/_simulator/faults/forbidden")
    listed = copilot.http.get("/_simulator/faults").json()
    assert (["forbidden"], True) == (list(listed["on"]), "rate_limited" in listed["catalogue"])
    assert {} == copilot.http.delete("/_simulator/faults/forbidden").json()
    copilot.http.put("/_simulator/faults/forbidden")
    assert {} == copilot.http.delete("/_simulator/faults").json()
    assert 200 == copilot.chat().status_code


@pytest.mark.parametrize(
    ("method", "path", "content", "status"),
    [
        ("PUT", "/_simulator/faults/nothing", None, 404),
        ("PUT", "/_simulator/faults/forbidden", b"[", 400),
        ("PUT", "/_simulator/faults/forbidden", b"[]", 400),
        ("GET", "/_simulator", None, 404),
        ("POST", "/_simulator/faults", None, 404),
    ],
)
def test_invalid_controls_are_errors(http, method, path, content, status):
    """An unknown fault or a malformed body is an error."""
    assert status == http.request(method, path, content=content).status_code


def test_the_default_pace(copilot):
    """By default, events arrive slowly enough to watch."""
    assert 0 < Simulator().state.pace < 0.1
