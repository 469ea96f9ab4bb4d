"""What an OpenTelemetry collector receives, and what happens without a collector."""

import asyncio
import json
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from copilot_proxy.errors import UsageError
from copilot_proxy.metrics import exporter
from copilot_proxy.metrics.counters import Metrics
from copilot_proxy.settings.telemetry import OtlpTarget, otlp_target
from copilot_proxy.simulator import Simulator
from tests.conftest import Proxy, settings_at
from tests.ledger.rows import record

CHAT: dict[str, Any] = {
    "model": "gpt-4o",
    "messages": [{"role": "user", "content": "secret words"}],
}
KEY = "collector-key-0123456789"


class Collector(ThreadingHTTPServer):
    """A collector on loopback; `bodies` contains the received data, by path."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.bodies: list[tuple[str, dict[str, str], Any]] = []
        self.status = 200
        self.changed = threading.Condition()

    def wait_for(self, path: str, count: int = 1) -> list[Any]:
        """Return the bodies for a path once `count` of them have arrived."""

        def found() -> list[Any]:
            return [body for one, _, body in self.bodies if one == path]

        with self.changed:
            assert self.changed.wait_for(lambda: len(found()) >= count, 30)
            return found()


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.send_response(self.server.status)
        self.send_header("content-length", "0")
        self.end_headers()
        with self.server.changed:
            headers = {name.lower(): value for name, value in self.headers.items()}
            self.server.bodies.append((self.path, headers, json.loads(body)))
            self.server.changed.notify_all()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    monkeypatch.setattr(exporter.OtlpExporter.__init__, "__kwdefaults__", {"interval": 0.01})
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def plain(attributes: list[Any]) -> dict[str, Any]:
    """Return attributes as plain values."""
    values = {one["key"]: next(iter(one["value"].values())) for one in attributes}
    assert len(values) == len(attributes)
    return values


def spans(body: Any) -> list[Any]:
    (resource,) = body["resourceSpans"]
    (scope,) = resource["scopeSpans"]
    return list(scope["spans"])


def test_traces(collector: Collector, simulator: Simulator) -> None:
    """A request becomes a span with the conventional attributes, but without its text."""
    settings = settings_at(simulator, otlp_endpoint=f"{collector.url}/")
    with Proxy(settings) as proxy, proxy.client(headers={"session-id": "s-1"}) as http:
        answer = http.post("/c/codex/p/moon/v1/chat/completions", json=CHAT)
        proxy.wait_for_record()
        (first, *_) = collector.wait_for("/v1/traces")
        http.post("/v1/responses", json={"model": "no-such-model", "input": "secret words"})
        (_, second, *_) = collector.wait_for("/v1/traces", 2)

    assert "secret words" not in json.dumps([body for *_, body in collector.bodies])
    (resource,) = first["resourceSpans"]
    assert "copilot-proxy" == plain(resource["resource"]["attributes"])["service.name"]
    (span,), (failed,) = spans(first), spans(second)
    found, usage = plain(span["attributes"]), answer.json()["usage"]
    assert ("chat gpt-4o", 3) == (span["name"], span["kind"])
    assert int(span["endTimeUnixNano"]) > int(span["startTimeUnixNano"])
    assert (32, 16) == (len(span["traceId"]), len(span["spanId"]))
    assert {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "github_copilot",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.conversation.id": "s-1",
        "gen_ai.usage.input_tokens": str(usage["prompt_tokens"]),
        "gen_ai.usage.output_tokens": str(usage["completion_tokens"]),
        "http.response.status_code": "200",
        "copilot_proxy.client": "codex",
        "copilot_proxy.project": "moon",
        "copilot_proxy.request_id": answer.headers["x-request-id"],
        "copilot_proxy.credits": float(answer.headers["x-copilot-proxy-cost"]),
    }.items() <= found.items()
    assert "status" not in span
    assert {"code": 2, "message": "model_not_found"} == failed["status"]
    assert "model_not_found" == plain(failed["attributes"])["error.type"]


def test_metrics(collector: Collector, simulator: Simulator) -> None:
    """The counters are also sent, at the latest when the server stops."""
    with Proxy(settings_at(simulator, otlp_endpoint=collector.url)) as proxy:
        with proxy.client() as http:
            http.post("/v1/chat/completions", json=CHAT)
            http.post("/v1/messages/count_tokens", json={**CHAT, "model": "claude-opus-5"})
        proxy.wait_for_record(2)

    body = collector.wait_for("/v1/metrics")[-1]
    (scope,) = body["resourceMetrics"][0]["scopeMetrics"]
    by_name = {metric["name"]: metric for metric in scope["metrics"]}
    requests = by_name["copilot_proxy.requests"]["sum"]
    assert (2, True) == (requests["aggregationTemporality"], requests["isMonotonic"])
    assert ["1", "1"] == [point["asInt"] for point in requests["dataPoints"]]
    (duration, *_) = by_name["gen_ai.client.operation.duration"]["histogram"]["dataPoints"]
    assert len(duration["explicitBounds"]) + 1 == len(duration["bucketCounts"])
    assert "1" == duration["count"]
    tokens = by_name["gen_ai.client.token.usage"]["histogram"]["dataPoints"]
    kinds = {plain(point["attributes"])["gen_ai.token.type"]: point["sum"] for point in tokens}
    assert {"input", "output"} == kinds.keys()
    assert all(total > 0 for total in kinds.values())
    (credits,) = by_name["copilot_proxy.credits"]["sum"]["dataPoints"]
    assert credits["asDouble"] > 0
    assert 1 == sum(len(spans(body)) for body in collector.wait_for("/v1/traces"))


@pytest.mark.anyio
async def test_stopping_while_sending() -> None:
    """Data being sent when the server stops is neither lost nor sent twice."""
    sent: list[str] = []
    began, free = asyncio.Event(), asyncio.Event()

    async def post(url: str, body: bytes, headers: Mapping[str, str]) -> None:
        began.set()
        await free.wait()
        sent.append(url)

    target = OtlpTarget("http://collector", {}, {})
    exported = exporter.OtlpExporter(target, Metrics(), post, interval=0)
    exported(record("r-1"))
    await began.wait()
    closing = asyncio.create_task(exported.close())
    await asyncio.sleep(0)
    free.set()
    await closing

    assert 1 == sent.count("http://collector/v1/traces")


def test_standard_variables(
    collector: Collector, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `env`, the address, headers and resource come from OpenTelemetry's variables."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"x-key={KEY},x-name=a%20b")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=home")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "mine")
    with Proxy(settings_at(simulator)) as proxy, proxy.client() as http:
        http.post("/v1/chat/completions", json=CHAT)
    assert [] == collector.bodies

    with Proxy(settings_at(simulator, otlp_endpoint="env")) as proxy, proxy.client() as http:
        http.post("/v1/chat/completions", json=CHAT)
        (body,) = collector.wait_for("/v1/traces")
    resource = plain(body["resourceSpans"][0]["resource"]["attributes"])
    assert ("mine", "home") == (resource["service.name"], resource["deployment.environment.name"])
    for _, headers, _ in collector.bodies:
        assert (KEY, "a b") == (headers["x-key"], headers["x-name"])
        assert "authorization" not in headers


def test_a_collector_that_refuses(
    collector: Collector, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """There is one warning, requests are answered, and data that was not accepted is sent again."""
    collector.status = 503
    settings = settings_at(simulator, otlp_endpoint=collector.url)
    with Proxy(settings) as proxy, proxy.client() as http:
        for number in range(1, 3):
            assert 200 == http.post("/v1/chat/completions", json=CHAT).status_code
            collector.wait_for("/v1/traces", number)
        collector.status = 200
        http.post("/v1/chat/completions", json=CHAT)
        last = collector.wait_for("/v1/traces", 3)[-1]
    assert 3 == len(spans(last))
    warnings = [one for one in caplog.records if one.name.endswith("exporter")]
    assert ["The OpenTelemetry collector does not accept traces: HTTP 503."] == [
        one.getMessage() for one in warnings
    ]


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:9", "http://no-such-host.invalid:4318"])
def test_a_collector_that_cannot_be_reached(
    simulator: Simulator, caplog: pytest.LogCaptureFixture, endpoint: str
) -> None:
    """The server answers and stops as usual, and the warning contains no secret."""
    with (
        Proxy(settings_at(simulator, otlp_endpoint=endpoint)) as proxy,
        proxy.client() as http,
    ):
        assert 200 == http.post("/v1/chat/completions", json=CHAT).status_code
        proxy.wait_for_record()
    assert "does not accept" in caplog.text
    assert [] == [one for one in caplog.records if one.exc_info]


@pytest.mark.parametrize("value", ["x", "ftp://host", "http://a:b@host", "http://host?x=1"])
def test_invalid_settings(simulator: Simulator, value: str) -> None:
    """An invalid address is refused, and the error says what is expected."""
    with pytest.raises(UsageError, match="http://localhost:4318"):
        settings_at(simulator, otlp_endpoint=value)


@pytest.mark.parametrize("name", ["ENDPOINT", "HEADERS"])
def test_invalid_variables(simulator: Simulator, name: str) -> None:
    """The error names the variable, and does not show its value."""
    settings = settings_at(simulator, otlp_endpoint="env")
    with pytest.raises(UsageError) as refused:
        otlp_target(settings, {f"OTEL_EXPORTER_OTLP_{name}": KEY})
    assert name in refused.value.message
    assert KEY not in refused.value.message
