"""The soak finds what it is for, and a short one is quiet."""

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest

from benchmarks.processes import HAS_PROC
from benchmarks.soak import Soak, soak
from benchmarks.soak_client import Client, Got
from benchmarks.soak_faults import Trouble, Window
from benchmarks.soak_report import verdicts
from benchmarks.soak_traffic import Request, Traffic
from tests.matrix_clients import CLIENTS

SAMPLE = {"memory": 50 * 2**20, "objects": 80_000, "files": 20, "tasks": 4, "threads": 1}
REFUSED = b'{"error": {"message": "no", "type": "t", "param": null, "code": "c"}}'


@pytest.mark.skipif(not HAS_PROC, reason="reads /proc")
@pytest.mark.timeout(60)
async def test_a_few_seconds(tmp_path: Path) -> None:
    """The whole server under mixed traffic and faults: all right, and nothing is left over."""
    assert [] == await soak(5, seed=4, workers=6, folder=tmp_path)


def used(**more: float) -> dict[str, Any]:
    """What a server uses, with so much more of something."""
    return {name: value + more.get(name, 0) for name, value in SAMPLE.items()}


@pytest.mark.parametrize(
    ("name", "each"),
    [("memory", 200_000), ("objects", 200), ("files", 1), ("tasks", 1), ("threads", 1)],
)
def test_a_leak_is_found(name: str, each: float) -> None:
    """Something that grows by a little every second is told by its name."""
    samples = [used(**{name: each * second}) for second in range(80)]
    found = [wrong for _, told in verdicts(samples, used(), used()) for wrong in told]
    assert 1 == len(found)
    assert found[0].startswith(f"{name} grew")


@pytest.mark.parametrize("name", ["files", "tasks", "threads"])
def test_what_is_left_over_is_found(name: str) -> None:
    """The same load all the time, but something stays when it is over."""
    samples = [used() for _ in range(80)]
    found = [w for _, told in verdicts(samples, used(), used(**{name: 9})) for w in told]
    assert 1 == len(found)
    assert "left over" in found[0]


def test_a_busy_server_that_stays_so_is_flat() -> None:
    """Coming and going around the same level is no leak."""
    choice = random.Random(1)
    samples = [used(memory=choice.random() * 2**20, tasks=choice.randrange(90)) for _ in range(200)]
    assert not [wrong for _, told in verdicts(samples, used(), used()) for wrong in told]


class Canned(Client):
    """A client that always gets the same."""

    def __init__(self, got: Got) -> None:
        self.got = got

    async def ask(self, *_: Any) -> Got:
        return self.got


def judged(got: Got, *, fault: bool) -> list[str]:
    """What the soak says to an answer that is meant to be `right`."""
    request = Request(
        "words",
        "POST",
        "/v1/chat/completions",
        b"{}",
        lambda got: None if got.body == b"right" else "not right",
        CLIENTS[0],
        "right",
    )

    async def judge() -> list[str]:
        windows = [Window("error_chunk", 0.0)] if fault else []
        trouble = Trouble(None, random.Random(1), None, windows)  # type: ignore[arg-type]
        run = Soak("", Traffic(random.Random(1)), trouble, asyncio.Event())
        await run.ask(Canned(got), request)
        return run.problems

    return asyncio.run(judge())


@pytest.mark.parametrize(
    ("got", "alone", "with_fault"),
    [
        (Got(200, body=b"right", complete=True), True, True),
        (Got(200, body=b"wrong", complete=True), False, False),
        (Got(200, body=b"right"), False, False),
        (Got(502, body=REFUSED, complete=True), False, True),
        (Got(502, body=b"Bad Gateway", complete=True), False, False),
        (Got(0), False, False),
    ],
)
def test_answers_are_judged(got: Got, alone: bool, with_fault: bool) -> None:
    """A fault excuses a clean error, and nothing else."""
    assert alone == (not judged(got, fault=False))
    assert with_fault == (not judged(got, fault=True))


def test_an_excuse_ends() -> None:
    """Soon after a fault all is to be right again; what is remembered excuses its refusal only."""
    cut, limit = Window("cut_mid_stream", 10.0, 12.0), Window("rate_limited", 10.0, 12.0)
    assert cut.excuses(9.0, 11.0, 200)
    assert cut.excuses(12.5, 13.0, 200)
    assert not cut.excuses(8.0, 9.0, 200)
    assert not cut.excuses(14.0, 15.0, 200)
    assert limit.excuses(14.0, 15.0, 429)
    assert not limit.excuses(14.0, 15.0, 500)
    assert not limit.excuses(16.0, 17.0, 429)
