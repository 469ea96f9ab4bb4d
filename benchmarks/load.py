"""The load client, a separate process: reads a task and prints the results, both as JSON.

A task is `{"work": "requests"|"streams"|"leaving", "url": ..., "path": ..., "model": ..., "key":
..., ...}`, with more keys that the functions below describe. With `size`, each request resembles an
agent's and is about that many bytes long. Times are in milliseconds.
"""

import asyncio
import json
import random
import statistics
import sys
import time
from collections.abc import Sequence
from itertools import count
from typing import Any, Final
from urllib.parse import urlsplit

from benchmarks.agent_requests import agent_body
from benchmarks.load_connection import Answer, Connection, connect
from benchmarks.marks import make_prompt
from benchmarks.measures import Result, Task
from benchmarks.processes import new_loop

_PROBLEMS: Final = 3
_CLOSE_TIMEOUT: Final = 2.0
"""Seconds after which an open upstream connection counts as never closed."""


class Requests:
    """Makes the requests of one run, each with a unique number."""

    def __init__(self, spec: Task) -> None:
        self._spec = spec
        # Start with a random number, since other runs against the same upstream have used some
        # numbers.
        self._numbers = count(random.randrange(1, 500_000))
        self._host = urlsplit(spec["url"]).netloc

    def make(self, *, rate: int = 0, marks: int | None = None) -> tuple[bytes, Answer]:
        """Return a request for `marks` marks (None: for a whole answer) and its `Answer`."""
        number = next(self._numbers)
        prompt = make_prompt(rate=rate, count=marks or 1, number=number)
        body = json.dumps(self._body(prompt, marks is not None)).encode()
        return self._head("POST", self._spec["path"], len(body)) + body, Answer(number, marks)

    def _body(self, prompt: str, stream: bool) -> dict[str, Any]:
        order = f"Please answer this order: {prompt}."
        body: dict[str, Any] = {"model": self._spec["model"], "stream": stream}
        if "size" in self._spec:
            return {**body, **agent_body(self._spec["path"], self._spec["size"], order)}
        turns = [{"role": "user", "content": order}]
        if self._spec["path"].endswith("/responses"):
            return {**body, "input": turns, "instructions": "Be exact."}
        if self._spec["path"].endswith("/messages"):
            return {**body, "messages": turns, "system": "Be exact.", "max_tokens": 4000}
        return {**body, "messages": [{"role": "system", "content": "Be exact."}, *turns]}

    def _head(self, method: str, path: str, length: int) -> bytes:
        lines = [
            f"{method} {path} HTTP/1.1",
            f"host: {self._host}",
            f"authorization: Bearer {self._spec.get('key', 'none')}",
            "content-type: application/json",
            "anthropic-version: 2023-06-01",
            "session-id: benchmark",
            f"content-length: {length}",
        ]
        return "\r\n".join(lines).encode() + b"\r\n\r\n"


async def requests(spec: Task) -> Result:
    """Request whole answers over `connections` kept-alive connections for `seconds`."""
    make = Requests(spec).make
    connections = [await connect(spec["url"]) for _ in range(spec["connections"])]
    answers: list[Answer] = []
    started_at = time.monotonic_ns()
    until = started_at + int(spec["seconds"] * 1e9)

    async def work(connection: Connection) -> None:
        while time.monotonic_ns() < until and connection.is_open:
            request, answer = make()
            connection.ask(request, answer)
            await answer.done
            answers.append(answer)

    await asyncio.gather(*map(work, connections))
    took = (time.monotonic_ns() - started_at) / 1e9
    for one in connections:
        one.close()
    good = [one for one in answers if one.problem is None]
    return {
        "requests": len(good),
        "per_second": len(good) / took,
        **_percentiles("latency", [one.ended - one.sent for one in good]),
        **_problems(answers),
    }


async def streams(spec: Task) -> Result:
    """Read `rounds` streams one after the other on each of `streams` connections.

    A stream has `count` marks, at `rate` per second (0: as fast as possible). The first streams
    start within `ramp` seconds.
    """
    make = Requests(spec).make
    number, marks, rate = spec["streams"], spec["count"], spec["rate"]
    answers: list[Answer] = []
    connections = [await connect(spec["url"]) for _ in range(number)]
    started_at = time.monotonic_ns()

    async def work(index: int, connection: Connection) -> None:
        await asyncio.sleep(spec.get("ramp", 0) * index / number)
        for _ in range(spec.get("rounds", 1)):
            if not connection.is_open:
                connection = await connect(spec["url"])
            request, answer = make(rate=rate, marks=marks)
            connection.ask(request, answer)
            await answer.done
            answers.append(answer)
        connection.close()

    await asyncio.gather(*(work(*one) for one in enumerate(connections)))
    took = (time.monotonic_ns() - started_at) / 1e9
    good = [one for one in answers if one.problem is None]
    ideal = (marks - 1) / rate * 1e9 if rate else 0
    pace = [(one.ended - one.sent) / ideal for one in good] if ideal else []
    return {
        "streams": len(answers),
        "completed": len(good),
        "events": len(good) * marks,
        "events_per_second": len(good) * marks / took,
        "pace": statistics.median(pace) if pace else None,
        "worst_pace": max(pace, default=None),
        **_percentiles("first", [one.first - one.sent for one in good]),
        **_percentiles("transit", [value for one in good for value in one.transits]),
        **_problems(answers),
    }


async def leaving(spec: Task) -> Result:
    """Disconnect `times` clients at the first mark of a long stream.

    Measures how long it takes `upstream` to notice that its connection has been closed.
    """
    make = Requests(spec).make
    gone: dict[int, int] = {}
    for _ in range(spec["times"]):
        connection = await connect(spec["url"])
        request, answer = make(rate=20, marks=100)
        answer.enough = asyncio.Event()
        connection.ask(request, answer)
        await answer.enough.wait()
        gone[answer.number] = connection.leave()
        await asyncio.sleep(0.02)
    until = time.monotonic() + _CLOSE_TIMEOUT
    while True:
        closed = await _closed(spec["upstream"])
        if gone.keys() <= closed.keys() or time.monotonic() > until:
            break
        await asyncio.sleep(0.05)
    took = [closed[number] - left for number, left in gone.items() if number in closed]
    return {"left": len(gone), "never": len(gone) - len(took), **_percentiles("closed", took)}


async def _closed(url: str) -> dict[int, int]:
    """Return when the upstream saw each stream close: stream number -> time in nanoseconds."""
    from benchmarks.target import get

    stats = json.loads(await asyncio.to_thread(get, url + "/_bench"))
    return {int(number): when for number, when in stats["closed"].items()}


def _percentiles(name: str, values: Sequence[int]) -> Result:
    """Return the median and 99th percentile of `values` (nanoseconds) in milliseconds."""
    if not values:
        return {f"{name}_p50": None, f"{name}_p99": None}
    ordered = sorted(values)
    return {
        f"{name}_p50": ordered[len(ordered) // 2] / 1e6,
        f"{name}_p99": ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)] / 1e6,
    }


def _problems(answers: Sequence[Answer]) -> Result:
    wrong = [one.problem for one in answers if one.problem]
    return {"wrong": len(wrong), "problems": wrong[:_PROBLEMS]}


WORK: Final = {"requests": requests, "streams": streams, "leaving": leaving}


def main() -> None:
    """Run the task from standard input."""
    spec = json.load(sys.stdin)
    with asyncio.Runner(loop_factory=new_loop) as runner:
        print(json.dumps(runner.run(WORK[spec["work"]](spec))))


if __name__ == "__main__":
    main()
