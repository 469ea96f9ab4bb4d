"""The measures: for each, the load client's task and the rows of the report."""

from dataclasses import dataclass
from typing import Any, Final

from benchmarks.upstream_answers import CHAT_MODEL, MESSAGES_MODEL, RESPONSES_MODEL

Task = dict[str, Any]
"""The load client's task, in the format that `benchmarks.load` describes."""
Result = dict[str, Any]
"""The load client's results: metric name -> number, plus any problems."""


@dataclass(frozen=True)
class Row:
    """A line of the table: title, key of the result, digits, and whether more is better."""

    title: str
    key: str
    digits: int = 1
    more_is_better: bool = False
    is_latency: bool = False
    """Whether the value includes the upstream's own time, which can be subtracted."""


@dataclass(frozen=True)
class Measure:
    """A task for the load client, in a long and a quick version."""

    name: str
    long: Task
    quick: Task
    rows: tuple[Row, ...]
    watch_memory: bool = False
    needs_all_apis: bool = False

    def spec(self, *, quick: bool) -> Task:
        """Return the long or the quick version of the task."""
        return {
            "path": "/chat/completions",
            "model": CHAT_MODEL,
            **(self.quick if quick else self.long),
        }


CPU: Final = "cpu_per_1000"


def _requests(connections: int) -> Measure:
    work = {"work": "requests", "connections": connections}
    at = "1 connection" if connections == 1 else f"{connections} connections"
    return Measure(
        f"requests-{connections}",
        {**work, "seconds": 5},
        {**work, "seconds": 1.5},
        (
            Row(f"requests/s, {at}", "per_second", 0, more_is_better=True),
            Row(f"latency p50 ms, {at}", "latency_p50", 2),
            Row(f"latency p99 ms, {at}", "latency_p99", 2),
            Row(f"CPU ms per request, {at}", "cpu_each", 2),
        ),
    )


def _paced(streams: int, rounds: int) -> Measure:
    """Measure `rounds` successive streams of two seconds on each of `streams` connections."""
    work = {"work": "streams", "streams": streams, "rate": 60, "ramp": 1}
    at = "1 paced stream" if streams == 1 else f"{streams} paced streams"
    return Measure(
        f"paced-{streams}",
        {**work, "count": 120, "rounds": rounds},
        {**work, "count": 60, "rounds": max(2, rounds // 2)},
        (
            Row(f"time to first token p50 ms, {at}", "first_p50", 2, is_latency=True),
            Row(f"time to first token p99 ms, {at}", "first_p99", 2, is_latency=True),
            Row(f"event transit p50 ms, {at}", "transit_p50", 2),
            Row(f"event transit p99 ms, {at}", "transit_p99", 2),
            Row(f"CPU s per 1,000 events, {at}", CPU, 3),
        ),
    )


def _flat(streams: int) -> Measure:
    work = {"work": "streams", "streams": streams, "rate": 0}
    at = "1 stream" if streams == 1 else f"{streams} streams"
    return Measure(
        f"flat-{streams}",
        {**work, "count": 20_000 if streams == 1 else 5_000, "rounds": 10 if streams == 1 else 3},
        {**work, "count": 20_000 if streams == 1 else 2_000, "rounds": 2},
        (
            Row(f"flat-out events/s, {at}", "events_per_second", 0, more_is_better=True),
            Row(f"CPU s per 1,000 flat-out events, {at}", CPU, 4),
        ),
    )


def _many(streams: int) -> Measure:
    work = {"work": "streams", "streams": streams, "rate": 20, "ramp": 2}
    return Measure(
        f"many-{streams}",
        {**work, "count": 200},
        {**work, "count": 80},
        (
            Row(
                f"{streams} streams of 20 events/s: completed", "completed", 0, more_is_better=True
            ),
            Row(f"{streams} streams: length / ideal, median", "pace", 2),
            Row(f"{streams} streams: length / ideal, worst", "worst_pace", 2),
            Row(f"{streams} streams: time to first token p50 ms", "first_p50", 1, is_latency=True),
            Row(f"{streams} streams: time to first token p99 ms", "first_p99", 1, is_latency=True),
            Row(f"{streams} streams: CPU s per 1,000 events", CPU, 3),
            Row(f"{streams} streams: KiB of memory per stream", "memory_each", 0),
        ),
        watch_memory=True,
    )


ROUTES: Final = (
    ("chat, native", "/chat/completions", CHAT_MODEL),
    ("responses, native", "/responses", RESPONSES_MODEL),
    ("messages, native", "/messages", MESSAGES_MODEL),
    ("responses on a chat model", "/responses", CHAT_MODEL),
    ("messages on a chat model", "/messages", CHAT_MODEL),
    ("chat on a responses model", "/chat/completions", RESPONSES_MODEL),
    ("chat on a messages model", "/chat/completions", MESSAGES_MODEL),
)
"""For each route: its title, the client's API, and a model that Copilot serves on only one API."""


def _route(title: str, path: str, model: str) -> Measure:
    work = {"work": "streams", "streams": 8, "path": path, "model": model, "rate": 0}
    return Measure(
        "route-" + title.replace(",", "").replace(" ", "-"),
        {**work, "count": 4_000, "rounds": 3},
        {**work, "count": 2_000},
        (
            Row(f"{title}: CPU s per 1,000 flat-out events", CPU, 4),
            Row(f"{title}: flat-out events/s", "events_per_second", 0, more_is_better=True),
        ),
        needs_all_apis=True,
    )


def _paced_route(title: str, path: str, model: str) -> Measure:
    work = {"work": "streams", "streams": 16, "path": path, "model": model, "rate": 60, "ramp": 1}
    return Measure(
        "paced-route-" + title.replace(",", "").replace(" ", "-"),
        {**work, "count": 240},
        {**work, "count": 60},
        (
            Row(f"{title}: CPU s per 1,000 paced events", CPU, 3),
            Row(f"{title}: event transit p50 ms", "transit_p50", 2),
            Row(f"{title}: time to first token p50 ms", "first_p50", 2, is_latency=True),
        ),
        needs_all_apis=True,
    )


def _agent(title: str, path: str, model: str, megabytes: int = 1) -> Measure:
    """Measure an agent's requests, one at a time; the upstream starts each answer immediately."""
    size = megabytes * 1_000_000
    work = {"work": "streams", "streams": 1, "path": path, "model": model, "rate": 60, "count": 2}
    at = f"request of {megabytes} MB, {title}"
    return Measure(
        f"agent-{megabytes}-" + title.replace(",", "").replace(" ", "-"),
        {**work, "size": size, "rounds": 40},
        {**work, "size": size, "rounds": 8},
        (
            Row(f"{at}: time to first token p50 ms", "first_p50", 1, is_latency=True),
            Row(f"{at}: CPU ms", "cpu_each", 1),
        ),
        needs_all_apis=True,
    )


def _leaving() -> Measure:
    work = {"work": "leaving"}
    return Measure(
        "leaving",
        {**work, "times": 40},
        {**work, "times": 10},
        (
            Row("client disconnect to upstream close p50 ms", "closed_p50", 2),
            Row("client disconnect to upstream close p99 ms", "closed_p99", 2),
            Row("client disconnects without upstream close", "never", 0),
        ),
    )


MEASURES: Final = (
    *map(_requests, (1, 16, 64)),
    _paced(1, 8),
    _paced(16, 4),
    _paced(64, 3),
    *map(_flat, (1, 16)),
    *map(_many, (200, 500)),
    _leaving(),
    *(_route(*one) for one in ROUTES),
    *(_paced_route(*one) for one in ROUTES),
    *(_agent(*one) for one in ROUTES),
    _agent(*ROUTES[0], megabytes=4),
    _agent(*ROUTES[4], megabytes=4),
)
"""All measures that the load client runs against a running target."""

START: Final = (
    Row("cold start to the first /v1/models, s", "start", 2),
    Row("memory idle, MiB", "idle", 1),
    Row("memory after 200 streams, MiB", "after", 1),
)
"""The rows about a newly started target."""

COMMANDS: Final = (
    Row("--help, s", "help_wall", 2),
    Row("--help, CPU s", "help_cpu", 2),
    Row("models, s", "models_wall", 2),
    Row("models, CPU s", "models_cpu", 2),
)
"""The rows about commands."""
