"""The soak test detects wrong answers and leaks, and a short run finds none."""

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest

from benchmarks.processes import HAS_PROC
from benchmarks.soak import Soak, soak
from benchmarks.soak_client import Client, ClientResponse
from benchmarks.soak_faults import FaultSchedule, Window
from benchmarks.soak_report import verdicts
from benchmarks.soak_traffic import Request, Traffic
from copilot_proxy.errors import UpstreamRefusal
from copilot_proxy.formats.apis import client_apis
from copilot_proxy.formats.client_api import ClientApi
from tests.matrix_clients import CLIENTS
from tests.selection import every_value, only_in_ci

SAMPLE = {"memory": 50 * 2**20, "objects": 80_000, "files": 20, "tasks": 4, "threads": 1}
REFUSED = b'{"error": {"message": "no", "type": "t", "param": null, "code": "c"}}'


@only_in_ci
@pytest.mark.skipif(not HAS_PROC, reason="reads /proc")
async def test_a_few_seconds(tmp_path: Path) -> None:
    """Under mixed traffic and faults, all answers are correct, and no resources are left over."""
    assert [] == await soak(5, seed=4, workers=6, folder=tmp_path)


def used(**more: float) -> dict[str, Any]:
    """Return the resources of a server, with `more` added to some of them."""
    return {name: value + more.get(name, 0) for name, value in SAMPLE.items()}


@pytest.mark.parametrize(
    ("name", "each"),
    [("memory", 200_000), ("objects", 400), ("files", 1), ("tasks", 2), ("threads", 1)],
)
def test_a_leak_is_found(name: str, each: float) -> None:
    """A resource that grows a little every second is reported by name."""
    samples = [used(**{name: each * second}) for second in range(80)]
    found = [wrong for _, problems in verdicts(samples, used(), used()) for wrong in problems]
    assert 1 == len(found)
    assert found[0].startswith(f"{name} grew")


@pytest.mark.parametrize("name", ["files", "tasks", "threads"])
def test_leftovers_are_found(name: str) -> None:
    """A resource that is not released after the load is reported."""
    samples = [used() for _ in range(80)]
    found = [w for _, problems in verdicts(samples, used(), used(**{name: 99})) for w in problems]
    assert 1 == len(found)
    assert "left over" in found[0]


def test_fluctuation_is_not_a_leak() -> None:
    """Fluctuation around the same level is not a leak."""
    choice = random.Random(1)
    samples = [used(memory=choice.random() * 2**20, tasks=choice.randrange(90)) for _ in range(200)]
    assert not [wrong for _, problems in verdicts(samples, used(), used()) for wrong in problems]


class Canned(Client):
    """A client that always gets the same response."""

    def __init__(self, response: ClientResponse) -> None:
        self.response = response

    async def ask(self, *_: Any) -> ClientResponse:
        return self.response


def judged(response: ClientResponse, *, fault: bool) -> list[str]:
    """Return the problems that the soak test finds in a response whose body should be "right"."""
    request = Request(
        "words",
        "POST",
        "/v1/chat/completions",
        b"{}",
        lambda response: None if response.body == b"right" else "not right",
        CLIENTS[0],
        "right",
    )

    async def judge() -> list[str]:
        windows = [Window("error_chunk", 0.0)] if fault else []
        schedule = FaultSchedule(None, random.Random(1), None, windows)  # type: ignore[arg-type]
        run = Soak("", Traffic(random.Random(1)), schedule, asyncio.Event())
        await run.ask(Canned(response), request)
        return run.problems

    return asyncio.run(judge())


@pytest.mark.parametrize(
    ("response", "alone", "with_fault"),
    [
        (ClientResponse(200, body=b"right", complete=True), True, True),
        (ClientResponse(200, body=b"wrong", complete=True), False, False),
        (ClientResponse(200, body=b"right"), False, False),
        (ClientResponse(502, body=REFUSED, complete=True), False, True),
        (ClientResponse(502, body=b"Bad Gateway", complete=True), False, False),
        (ClientResponse(0), False, False),
    ],
)
def test_answers_are_judged(response: ClientResponse, alone: bool, with_fault: bool) -> None:
    """During a fault, only a well-formed error is accepted in place of the right answer."""
    assert alone == (not judged(response, fault=False))
    assert with_fault == (not judged(response, fault=True))


def test_an_excuse_ends() -> None:
    """Soon after a fault, answers must be right again; a cooldown explains only its own status."""
    cut, limit = Window("cut_mid_stream", 10.0, 12.0), Window("rate_limited", 10.0, 12.0)
    assert cut.excuses(9.0, 11.0, 200)
    assert cut.excuses(12.5, 13.0, 200)
    assert not cut.excuses(8.0, 9.0, 200)
    assert not cut.excuses(14.0, 15.0, 200)
    assert limit.excuses(14.0, 15.0, 429)
    assert not limit.excuses(14.0, 15.0, 500)
    assert not limit.excuses(16.0, 17.0, 429)


@every_value
@pytest.mark.parametrize("api", client_apis(), ids=lambda api: api.name)
@pytest.mark.parametrize(
    ("fault", "status"), [("rate_limited", 429), ("quota_exceeded", 402), ("forbidden", 403)]
)
def test_a_remembered_refusal_is_excused(api: ClientApi, fault: str, status: int) -> None:
    """On each client API, a cooldown explains errors with the API's status for the refusal."""
    window = Window(fault, 10.0, 12.0)
    assert window.excuses(
        14.0, 15.0, api.error_status(UpstreamRefusal("no", upstream_status=status, status=status))
    )
