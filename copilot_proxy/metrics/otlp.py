"""Writes requests and counters as OTLP JSON, with the names from OpenTelemetry's conventions.

The output never contains text from a conversation. Sources:
https://opentelemetry.io/docs/specs/otlp/, https://opentelemetry.io/docs/specs/semconv/gen-ai/
"""

import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Final

from copilot_proxy import __version__
from copilot_proxy.cost.nano_aiu import NANO
from copilot_proxy.formats.types import Json
from copilot_proxy.masking import mask
from copilot_proxy.metrics.counters import Histogram, Labels, Metrics
from copilot_proxy.relay.costs import cost_of
from copilot_proxy.relay.outcome import outcome
from copilot_proxy.relay.records import RequestRecord

_OPERATIONS: Final = {"embeddings": "embeddings", "completions": "text_completion"}
"""API -> the name of its operation in the conventions. All other APIs use ``chat``."""
_PROVIDER: Final = "github_copilot"
_CLIENT_SPAN: Final = 3
_ERROR: Final = 2
_CUMULATIVE: Final = 2
_SCOPE: Final = {"name": "copilot_proxy", "version": __version__}


def span_of(record: RequestRecord, ended: int) -> Json:
    """Return the span for a request that ended at `ended`, in nanoseconds since 1970."""
    operation = _OPERATIONS.get(record.api, "chat")
    model = mask(record.model_asked or record.model or "")
    usage = record.usage or {}
    prompt, completion = (
        usage.get(f"{kind}_tokens_details") or {} for kind in ("prompt", "completion")
    )
    attributes: dict[str, object] = {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": _PROVIDER,
        "gen_ai.request.model": model,
        "gen_ai.response.model": record.model_answered or record.model,
        "gen_ai.response.finish_reasons": [record.finish_reason] if record.finish_reason else None,
        "gen_ai.conversation.id": record.attribution.session,
        "gen_ai.usage.input_tokens": usage.get("prompt_tokens"),
        "gen_ai.usage.output_tokens": usage.get("completion_tokens"),
        "gen_ai.usage.cache_read.input_tokens": prompt.get("cached_tokens"),
        "gen_ai.usage.cache_creation.input_tokens": prompt.get("cache_creation_input_tokens"),
        "gen_ai.usage.reasoning.output_tokens": completion.get("reasoning_tokens"),
        "http.response.status_code": record.status,
        "error.type": record.error,
        "copilot_proxy.request_id": record.request_id,
        "copilot_proxy.api": record.api,
        "copilot_proxy.route": record.route,
        "copilot_proxy.client": record.attribution.client,
        "copilot_proxy.project": record.attribution.project,
        "copilot_proxy.key": record.key,
        "copilot_proxy.initiator": record.initiator,
        "copilot_proxy.outcome": outcome(record),
        "copilot_proxy.stream": record.stream,
        "copilot_proxy.attempts": record.attempts,
        "copilot_proxy.time_to_first_token": record.first_token,
    }
    if record.usage is not None:
        cost = cost_of(record)
        attributes["copilot_proxy.cost_source"] = cost.source
        attributes["copilot_proxy.credits"] = None if cost.nano is None else cost.nano / NANO
    span: Json = {
        "traceId": secrets.token_hex(16),
        "spanId": secrets.token_hex(8),
        "name": f"{operation} {model}",
        "kind": _CLIENT_SPAN,
        "startTimeUnixNano": str(ended - round(record.duration * 1e9)),
        "endTimeUnixNano": str(ended),
        "attributes": _attributes(attributes),
    }
    if record.error is not None:
        span["status"] = {"code": _ERROR, "message": record.error}
    return span


def traces(spans: Sequence[Json], resource: Mapping[str, str]) -> Json:
    """Return the body of a request to ``/v1/traces``."""
    scope = {"scope": _SCOPE, "spans": list(spans)}
    return {"resourceSpans": [{"resource": _resource(resource), "scopeSpans": [scope]}]}


def metrics(counters: Metrics, resource: Mapping[str, str], start: int, now: int) -> Json:
    """Return the body of a request to ``/v1/metrics``; times are in nanoseconds since 1970."""
    times = {"startTimeUnixNano": str(start), "timeUnixNano": str(now)}
    credits = {labels: nano / NANO for labels, nano in counters.nano.items()}
    names = ("api", "model", "client", "status", "outcome", "cost")
    found = [
        _sum("copilot_proxy.requests", "{request}", names, counters.requests, times),
        _sum("copilot_proxy.credits", "{credit}", ("model", "client"), credits, times),
        _histogram("gen_ai.client.operation.duration", "s", counters.duration, times),
        _histogram("gen_ai.client.operation.time_to_first_chunk", "s", counters.first_token, times),
        _histogram("gen_ai.client.token.usage", "{token}", counters.token_usage, times),
    ]
    scope = {"scope": _SCOPE, "metrics": [metric for metric in found if metric]}
    return {"resourceMetrics": [{"resource": _resource(resource), "scopeMetrics": [scope]}]}


def _sum(
    name: str, unit: str, names: Sequence[str], table: Mapping[Labels, float], times: Json
) -> Json:
    points = [
        {
            **times,
            **_number(value),
            "attributes": _attributes(
                {f"copilot_proxy.{n}": text for n, text in zip(names, labels, strict=True)}
            ),
        }
        for labels, value in table.items()
    ]
    data = {"aggregationTemporality": _CUMULATIVE, "isMonotonic": True, "dataPoints": points}
    return {"name": name, "unit": unit, "sum": data} if points else {}


def _histogram(name: str, unit: str, histogram: Histogram, times: Json) -> Json:
    points = []
    for (api, model, *kind), (counts, total) in histogram.series.items():
        attributes = {
            "gen_ai.operation.name": _OPERATIONS.get(api, "chat"),
            "gen_ai.provider.name": _PROVIDER,
            "gen_ai.request.model": model,
            "gen_ai.token.type": kind[0] if kind else None,
            "copilot_proxy.api": api,
        }
        points.append(
            {
                **times,
                "count": str(sum(counts)),
                "sum": total,
                "bucketCounts": [str(count) for count in counts],
                "explicitBounds": list(histogram.bounds),
                "attributes": _attributes(attributes),
            }
        )
    data = {"aggregationTemporality": _CUMULATIVE, "dataPoints": points}
    return {"name": name, "unit": unit, "histogram": data} if points else {}


def _number(value: float) -> Json:
    return {"asInt": str(value)} if isinstance(value, int) else {"asDouble": value}


def _resource(resource: Mapping[str, str]) -> Json:
    return {"attributes": _attributes({**resource, "service.version": __version__})}


def _attributes(values: Mapping[str, object]) -> list[Json]:
    return [
        {"key": name, "value": _value(value)} for name, value in values.items() if value is not None
    ]


def _value(value: Any) -> Json:
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case list():
            return {"arrayValue": {"values": [_value(one) for one in value]}}
        case _:
            return {"stringValue": str(value)}
