"""The benchmarks' upstream, load client and checks work."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks import candidates, load
from benchmarks.load_connection import Answer
from benchmarks.marks import mark
from benchmarks.measures import ROUTES, Row
from benchmarks.processes import HAS_PROC, cpu_seconds, helper, memory, tree
from benchmarks.report import DIRECT, Results
from benchmarks.target import KEY, Fake
from benchmarks.upstream_answers import CHAT_MODEL, SHAPES
from copilot_proxy.settings import load_settings
from tests.conftest import Proxy

CHAT = "/v1/chat/completions"


@pytest.fixture(scope="module")
def fake() -> Iterator[Fake]:
    """The fake upstream, in a separate process."""
    with helper("upstream") as (address, _):
        yield Fake(**address)


@pytest.fixture
def proxy(fake: Fake) -> Iterator[Proxy]:
    """The server in front of the fake upstream."""
    settings = load_settings(
        {
            "github_url": fake.url,
            "github_api_url": fake.url,
            "github_token": "ghu_Bench00000000000000000000000000000000",
            "api_key": KEY,
        }
    )
    with Proxy(settings) as running:
        yield running


def measured(url: str, work: str, **more: Any) -> dict[str, Any]:
    """The results of the load client."""
    spec = {"work": work, "url": url, "path": CHAT, "model": CHAT_MODEL, "key": KEY, **more}
    return asyncio.run(load.WORK[work](spec))


def test_the_upstream_is_measured_without_tls_too(tmp_path: Path) -> None:
    """The load client can use plain HTTP for an upstream that proxies call with TLS."""
    with (
        helper("upstream", "--tls", str(tmp_path)) as (address, _),
        candidates.direct(Fake(**address)).start() as target,
    ):
        result = measured(target.url, "requests", connections=1, seconds=0.1)
    assert address["url"].startswith("https:")
    assert (result["requests"] > 0, 0) == (True, result["wrong"])


def test_sizes_of_events_match_the_documentation() -> None:
    """Chat events are about 220 bytes, whole answers about 1.5 KB."""
    chat = SHAPES["/chat/completions"]
    assert 200 < len(chat.event(1, mark(1))) < 250
    assert 1300 < len(chat.whole(1)) < 1700


def test_whole_answers_are_counted_and_checked(proxy: Proxy) -> None:
    """Every request receives its own answer."""
    result = measured(proxy.url, "requests", connections=3, seconds=0.3)
    assert result["requests"] > 2
    assert (0, []) == (result["wrong"], result["problems"])
    assert result["per_second"] > 0
    assert result["latency_p99"] >= result["latency_p50"] > 0


@pytest.mark.parametrize(("title", "path", "model"), ROUTES)
def test_streams_of_every_route_arrive_whole(
    title: str, path: str, model: str, proxy: Proxy
) -> None:
    """On native and translated routes, every mark arrives unchanged and in order."""
    result = measured(
        proxy.url, "streams", path="/v1" + path, model=model, streams=2, rate=0, count=600, rounds=2
    )
    assert (4, []) == (result["completed"], result["problems"])
    assert 2400 == result["events"]


@pytest.mark.parametrize("path", ["/chat/completions", "/responses", "/messages"])
def test_the_upstream_can_be_measured_like_a_proxy(path: str, fake: Fake) -> None:
    """The upstream also answers requests to a proxy's paths, including requests from agents."""
    result = measured(
        fake.url, "streams", path="/v1" + path, streams=1, rate=60, count=2, size=200_000
    )
    assert (1, []) == (result["completed"], result["problems"])


def test_paced_streams_report_their_delays(proxy: Proxy) -> None:
    """First token, transit and pace are reported; nothing arrives before it was sent."""
    result = measured(proxy.url, "streams", streams=2, rate=100, count=10)
    assert (2, []) == (result["completed"], result["problems"])
    assert result["first_p50"] > 0
    assert result["transit_p50"] > 0
    assert result["pace"] > 0.9


def test_a_disconnect_reaches_the_upstream(proxy: Proxy, fake: Fake) -> None:
    """A client's disconnect closes the upstream connection, and the harness measures the delay."""
    result = measured(proxy.url, "leaving", times=2, upstream=fake.url)
    assert (2, 0) == (result["left"], result["never"])
    assert result["closed_p50"] > 0


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (mark(0) + mark(1) + b"data: [DONE]", None),
        (mark(0) + b"data: [DONE]", "1 of 2 marks"),
        (mark(1) + mark(0) + b"data: [DONE]", "at 0"),
        (mark(0) + mark(0) + b"data: [DONE]", "at 1"),
        (mark(0) + mark(1).replace(b"~", b"~z") + b"data: [DONE]", "1 of 2 marks"),
        (mark(0) + mark(1), "no end"),
    ],
)
def test_the_load_client_finds_wrong_marks(body: bytes, problem: str | None) -> None:
    """Lost, duplicated, swapped and broken marks are found, however the data is split."""

    async def check(size: int) -> str | None:
        answer = Answer(1, 2)
        for start in range(0, len(body), size):
            answer.feed(body[start : start + size], 1)
        answer.complete(200)
        return answer.problem

    for size in (1, 5, 1000):
        found = asyncio.run(check(size))
        assert (found is None) if problem is None else problem in (found or "")


def test_the_table_compares_with_the_first_column() -> None:
    """The table shows medians with their range, and the ratio to the first column."""
    results = Results(["ours", "other"])
    row = Row("requests/s", "rate", 0, more_is_better=True)
    for ours, other in ((100, 40), (300, 60), (200, 50)):
        results.add([row], "ours", {"rate": ours})
        results.add([row], "other", {"rate": other})
    assert "| requests/s | 200 (100 to 300) | 50 (40 to 60) [4.00] |" in results.table()


@pytest.mark.skipif(not HAS_PROC, reason="reads /proc")
def test_cpu_and_memory_of_a_process_are_read() -> None:
    """CPU and memory of a running process are above zero."""
    assert os.getpid() in tree(os.getppid())
    assert cpu_seconds(os.getpid()) > 0
    assert memory(os.getpid()) > 1_000_000


def test_the_table_shows_what_a_proxy_adds_to_the_upstream() -> None:
    """If the upstream is also measured, its time is subtracted in each round."""
    results = Results(["ours", DIRECT])
    row = Row("time to first token", "first", is_latency=True)
    for ours, direct in ((5, 1), (9, 2), (5, 2)):
        results.add([row], "ours", {"first": ours})
        results.add([row], DIRECT, {"first": direct})
    assert "| time to first token, added | 4.0 (3.0 to 7.0) |  |" in results.table()
