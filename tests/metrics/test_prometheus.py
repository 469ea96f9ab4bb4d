"""``GET /metrics``, read with Prometheus' own parser."""

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from copilot_proxy.attribution import Attribution
from copilot_proxy.metrics.counters import MAX_CLIENTS
from copilot_proxy.metrics.workers import SharedMetrics
from copilot_proxy.relay.records import RequestRecord
from copilot_proxy.simulator import Simulator, plans
from tests.conftest import Proxy, settings_at

CHAT: dict[str, Any] = {
    "model": "gpt-4o",
    "messages": [{"role": "user", "content": "secret words"}],
}
ROOT = Path(__file__).parents[2]
Sample = tuple[dict[str, str], float]


def samples(proxy: Proxy, **headers: str) -> dict[str, list[Sample]]:
    """Return all samples by name, without the prefix."""
    with proxy.client() as http:
        answer = http.get("/metrics", headers=headers)
    assert "text/plain; version=0.0.4; charset=utf-8" == answer.headers["content-type"]
    assert "secret words" not in answer.text
    found: dict[str, list[Sample]] = {}
    for family in text_string_to_metric_families(answer.text):
        assert family.documentation
        assert family.type in ("counter", "gauge", "histogram")
        for sample in family.samples:
            name = sample.name.removeprefix("copilot_proxy_")
            found.setdefault(name, []).append((dict(sample.labels), sample.value))
    return found


def value(found: Iterable[Sample], **labels: str) -> float:
    """Return the sum of the samples with these labels."""
    return sum(number for have, number in found if labels.items() <= have.items())


def test_counters(proxy: Proxy, simulator: Simulator) -> None:
    """Requests, tokens, costs and times are counted, whether or not a request was answered."""
    agent = {"user-agent": "codex_exec/1.0"}
    with proxy.client(headers=agent) as http:
        for body in (CHAT, {**CHAT, "stream": True}, {**CHAT, "model": "no-such-model"}):
            http.post("/v1/chat/completions", json=body)
        simulator.state.faults.on("user_global_rate_limited", times=1)
        http.post("/v1/responses", json={"model": "gpt-5.5", "input": "x"})
    records = [proxy.wait_for_record(number) for number in range(1, 5)]
    found = samples(proxy)

    requests = found["requests_total"]
    assert 4 == value(requests, client="codex")
    labels = {"api": "chat_completions", "model": "gpt-4o", "status": "2xx", "outcome": "ok"}
    assert 2 == value(requests, **labels, cost="reported")
    assert 1 == value(requests, model="other", status="4xx", outcome="refused_here", cost="free")
    assert 1 == value(requests, api="responses", status="4xx", outcome="refused_upstream")
    paid = sum(r.copilot_usage["total_nano_aiu"] for r in records if r.copilot_usage)
    assert paid / 1e9 == pytest.approx(value(found["credits_total"], model="gpt-4o"))
    written = sum(record.usage["completion_tokens"] for record in records if record.usage)
    assert written == value(found["tokens_total"], kind="output", client="codex")
    for name in ("request_duration_seconds", "time_to_first_token_seconds"):
        assert 2 == value(found[f"{name}_count"], model="gpt-4o")
        assert 2 == value(found[f"{name}_bucket"], model="gpt-4o", le="+Inf")
        buckets = [number for _, number in found[f"{name}_bucket"]][:13]
        assert sorted(buckets) == buckets
    assert [({}, 0.0)] == found["open_requests"] == found["queued_requests"]
    assert value(found["quota_left"], unit="AI credits") > 0
    assert 1 == value(found["cooldowns"])


def test_a_quota_that_was_reset(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the start of a month, /metrics and /health no longer show the last answer's quota."""
    last_month = datetime(2026, 11, 1, tzinfo=UTC)
    with proxy.client() as http:
        for number, is_current in ((1, True), (2, False)):
            if not is_current:
                monkeypatch.setattr(plans, "reset_day", lambda: last_month)
            assert 200 == http.post("/v1/chat/completions", json=CHAT).status_code
            proxy.wait_for_record(number)
            assert is_current == (http.get("/health").json()["quota"] is not None)
            assert is_current == ("quota_left" in samples(proxy))


def test_a_client_cannot_create_labels(proxy: Proxy) -> None:
    """The number of client names is limited, and no name can break the format."""
    names = [f"client-{number}" for number in range(MAX_CLIENTS + 5)]
    with proxy.client() as http:
        for name in ('a"b\\', *names):
            http.post(f"/c/{name}/v1/chat/completions", json={**CHAT, "model": f"model-{name}"})
    proxy.wait_for_record(len(names) + 1)
    requests = samples(proxy)["requests_total"]

    assert MAX_CLIENTS + 1 == len({labels["client"] for labels, _ in requests})
    assert {"other"} == {labels["model"] for labels, _ in requests}
    assert 1 == value(requests, client='a"b\\')
    assert 6 == value(requests, client="other")


def test_the_key_is_needed(simulator: Simulator) -> None:
    """If the server has keys, requests for the counters need a key."""
    key = "key-0123456789abcdef"
    with Proxy(settings_at(simulator, api_key=key)) as proxy:
        with proxy.client() as http:
            assert 401 == http.get("/metrics").status_code
        assert samples(proxy, authorization=f"Bearer {key}")["info"]


def test_the_dashboard(proxy: Proxy) -> None:
    """Every metric and label used by the Grafana dashboard exists."""
    with proxy.client() as http:
        http.post("/v1/chat/completions", json=CHAT)
    proxy.wait_for_record()
    found = samples(proxy)
    board = json.loads((ROOT / "docs" / "grafana.json").read_text(encoding="utf-8"))
    queries = [target["expr"] for panel in board["panels"] for target in panel["targets"]]

    assert len(queries) >= 10
    for query in queries:
        names = re.findall(r"copilot_proxy_(\w+)", query)
        assert names
        for name in names:
            assert name in found, name
            for label in re.findall(r"by \((\w+)\)", query):
                assert label in found[name][0][0], query


def record(client: str) -> RequestRecord:
    return RequestRecord(
        "id", "embeddings", attribution=Attribution(client), attempts=1, duration=0.2
    )


async def test_workers_are_summed(tmp_path: Path) -> None:
    """Every worker shows the sums, including the counters of a dead worker and its replacement."""
    first, second = SharedMetrics(tmp_path, 1), SharedMetrics(tmp_path, 2)
    for client in ("a", "a", "b"):
        first(record(client))
    second(record("a"))
    first.close()
    again = SharedMetrics(tmp_path, 1)
    again(record("b"))
    again.close()

    def clients(metrics: SharedMetrics) -> dict[str, int]:
        requests = metrics.total().requests
        return {labels[2]: count for labels, count in sorted(requests.items())}

    assert {"a": 3, "b": 2} == clients(again) | {"a": 3} == clients(second)
    assert {"b": 1} == {labels[2]: count for labels, count in again.own.requests.items()}
    second.close()
    assert {"a": 3, "b": 2} == clients(again)
    (series,) = again.total().duration.series.values()
    assert 5 == sum(series[0])
    assert pytest.approx(1.0) == series[1]
    (tmp_path / "2.json").write_text("broken")
    assert {"a": 2, "b": 2} == clients(again)


def test_a_named_key_sees_no_other_key(simulator: Simulator) -> None:
    """The counters cover all keys, so only the owner can see them, as with the dashboard."""
    owner, laptop = "owner-0123456789abcdef", "laptop-0123456789abcdef"
    settings = settings_at(simulator, api_key=owner, api_keys={"laptop": laptop})
    with Proxy(settings) as proxy, proxy.client() as http:
        refused = http.get("/metrics", headers={"x-api-key": laptop})
        assert 200 == http.get("/metrics", headers={"x-api-key": owner}).status_code
    assert (403, "key_not_allowed") == (refused.status_code, refused.json()["error"]["code"])
    assert "api_key" in refused.json()["error"]["hint"]
