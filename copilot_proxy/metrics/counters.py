"""The counters of a process, and their sums across several processes.

Labels have few values: there are no labels for requests or sessions, and the number of clients and
models is limited, since clients could make up any names.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

from copilot_proxy.cost.assessment import Cost
from copilot_proxy.cost.tokens import Tokens
from copilot_proxy.large_work import LARGE
from copilot_proxy.relay.costs import cost_of
from copilot_proxy.relay.outcome import outcome
from copilot_proxy.relay.records import RequestRecord

Labels = tuple[str, ...]
MAX_CLIENTS: Final = 50
MAX_MODELS: Final = 200
OTHER: Final = "other"
"""The label for models that Copilot does not list, and for clients and models beyond the limit."""
SECONDS: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
"""The upper bounds of the buckets in the histograms of times."""
TOKENS: Final = tuple(4.0**power for power in range(14))
"""The upper bounds of the buckets in the token histogram, as in OpenTelemetry's conventions."""
_UNKNOWN: Final = Cost(None, "unknown")


class Histogram:
    """Counts values in buckets, for each combination of labels. `bounds` are the upper bounds."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.series: dict[Labels, tuple[list[int], float]] = {}
        """Labels -> the count of each bucket, and the sum of the values. The last bucket has no
        bound."""

    def observe(self, labels: Labels, value: float) -> None:
        """Count a value."""
        counts, total = self.series.get(labels) or ([0] * (len(self.bounds) + 1), 0.0)
        counts[bisect_left(self.bounds, value)] += 1
        self.series[labels] = (counts, total + value)

    def add(self, labels: Labels, counts: Sequence[int], total: float) -> None:
        """Add the counts of another process."""
        known, sum_so_far = self.series.get(labels) or ([0] * len(counts), 0.0)
        added = [one + other for one, other in zip(known, counts, strict=True)]
        self.series[labels] = (added, sum_so_far + total)


class Metrics:
    """All counters. An instance is called with each completed request, and counts it."""

    def __init__(self) -> None:
        self.requests: defaultdict[Labels, int] = defaultdict(int)
        """Numbers of requests, by API, model, client, status class, outcome, and source of the
        cost."""
        self.nano: defaultdict[Labels, int] = defaultdict(int)
        """The cost in nano-AIU, by model and client."""
        self.tokens: defaultdict[Labels, int] = defaultdict(int)
        """Numbers of tokens, by model, client and token type."""
        self.duration = Histogram(SECONDS)
        """Seconds until the end of the answer, by API and model."""
        self.first_token = Histogram(SECONDS)
        """Seconds until the first part of the answer, by API and model."""
        self.token_usage = Histogram(TOKENS)
        """Tokens of a request, by API, model, and input or output."""
        self._clients: set[str] = set()
        self._models: set[str] = set()

    def __call__(self, record: RequestRecord) -> None:
        """Count a request."""
        model = _bounded(self._models, record.listed.id if record.listed else OTHER, MAX_MODELS)
        client = _bounded(self._clients, record.attribution.client or "unknown", MAX_CLIENTS)
        # Estimating the cost of a large request would take too long here; the ledger does that.
        is_slow = record.unmetered is not None and record.size >= LARGE
        cost = _UNKNOWN if is_slow else cost_of(record)
        status = f"{record.status // 100}xx"
        self.requests[record.api, model, client, status, outcome(record), cost.source] += 1
        if cost.nano:
            self.nano[model, client] += cost.nano
        if cost.tokens is not None:
            for kind, count in (("input", cost.tokens.prompt), ("output", cost.tokens.output)):
                self.token_usage.observe((record.api, model, kind), count)
            for kind, count in zip(Tokens._fields, cost.tokens, strict=True):
                if count:
                    self.tokens[model, client, kind] += count
        if record.attempts:
            self.duration.observe((record.api, model), record.duration)
        if record.first_token is not None:
            self.first_token.observe((record.api, model), record.first_token)

    def snapshot(self) -> dict[str, Any]:
        """Return all counters as JSON."""
        return {
            **{name: [*table.items()] for name, table in self._tables().items()},
            **{
                name: [(labels, *series) for labels, series in histogram.series.items()]
                for name, histogram in self.histograms().items()
            },
        }

    def add(self, snapshot: Mapping[str, Any]) -> None:
        """Add the counters of another process."""
        for name, table in self._tables().items():
            for labels, value in snapshot.get(name, ()):
                table[tuple(labels)] += value
        for name, histogram in self.histograms().items():
            for labels, counts, total in snapshot.get(name, ()):
                histogram.add(tuple(labels), counts, total)

    def _tables(self) -> dict[str, defaultdict[Labels, int]]:
        return {"requests": self.requests, "nano": self.nano, "tokens": self.tokens}

    def histograms(self) -> dict[str, Histogram]:
        """Return the histograms by name."""
        return {
            "duration": self.duration,
            "first_token": self.first_token,
            "token_usage": self.token_usage,
        }


def _bounded(known: set[str], value: str, limit: int) -> str:
    """Return `value`, or `OTHER` if it is new and there are already `limit` known values."""
    if value in known:
        return value
    if len(known) >= limit:
        return OTHER
    known.add(value)
    return value
