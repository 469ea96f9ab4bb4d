"""Writes counters in Prometheus' text format.

Source: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from copilot_proxy.cost.nano_aiu import NANO
from copilot_proxy.metrics.counters import Histogram, Labels, Metrics

CONTENT_TYPE: Final = "text/plain; version=0.0.4"
_PREFIX: Final = "copilot_proxy_"


class Gauge(NamedTuple):
    """A metric whose value may go down."""

    name: str
    help: str
    label: str = ""
    """The name of the gauge's label, or "" if it has none."""
    values: Mapping[str, float] = {}
    """Label value -> gauge value."""


def text_of(metrics: Metrics, gauges: Iterable[Gauge]) -> str:
    """Return the metrics as text."""
    return "".join(f"{line}\n" for line in _lines(metrics, gauges))


def _lines(metrics: Metrics, gauges: Iterable[Gauge]) -> Iterator[str]:
    requests = ("api", "model", "client", "status", "outcome", "cost")
    help = "Completed requests, by status class, outcome and source of the cost."
    yield from _counter("requests_total", help, requests, metrics.requests)
    credits = {labels: nano / NANO for labels, nano in metrics.nano.items()}
    help = "Cost of requests, in AI credits."
    yield from _counter("credits_total", help, ("model", "client"), credits)
    help = "Tokens, by kind: output includes reasoning, and input excludes the cache."
    yield from _counter("tokens_total", help, ("model", "client", "kind"), metrics.tokens)
    help = "Time until the end of an answer."
    yield from _histogram("request_duration_seconds", help, metrics.duration)
    help = "Time until the first part of an answer."
    yield from _histogram("time_to_first_token_seconds", help, metrics.first_token)
    for gauge in gauges:
        yield from _head(gauge.name, gauge.help, "gauge")
        for value, number in gauge.values.items():
            yield _sample(gauge.name, [(gauge.label, value)] if gauge.label else [], number)


def _counter(
    name: str, help: str, names: Sequence[str], table: Mapping[Labels, float]
) -> Iterator[str]:
    yield from _head(name, help, "counter")
    for labels, value in table.items():
        yield _sample(name, list(zip(names, labels, strict=True)), value)


def _histogram(name: str, help: str, histogram: Histogram) -> Iterator[str]:
    yield from _head(name, help, "histogram")
    for labels, (counts, total) in histogram.series.items():
        pairs = list(zip(("api", "model"), labels, strict=True))
        reached = 0
        for bound, count in zip((*histogram.bounds, "+Inf"), counts, strict=True):
            reached += count
            yield _sample(f"{name}_bucket", [*pairs, ("le", str(bound))], reached)
        yield _sample(f"{name}_sum", pairs, total)
        yield _sample(f"{name}_count", pairs, reached)


def _head(name: str, help: str, kind: str) -> Iterator[str]:
    yield f"# HELP {_PREFIX}{name} {help}"
    yield f"# TYPE {_PREFIX}{name} {kind}"


def _sample(name: str, labels: Sequence[tuple[str, str]], value: float) -> str:
    inner = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels)
    return f"{_PREFIX}{name}{{{inner}}} {value}" if inner else f"{_PREFIX}{name} {value}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
