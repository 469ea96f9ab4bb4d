"""`python -m benchmarks.soak`: run the complete server under mixed traffic with faults.

The server, the simulator and this client are separate processes. Each answer must be correct or,
while a fault is on, a clean error of its API. At the end, memory, files, tasks and threads must be
back at their initial levels; otherwise, the exit code is 1.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from benchmarks.processes import HAS_PROC, new_loop
from benchmarks.soak_client import Client, ClientResponse
from benchmarks.soak_faults import FaultSchedule
from benchmarks.soak_processes import Process, started
from benchmarks.soak_report import Sample, verdicts
from benchmarks.soak_traffic import KEY, MAX_BODY_BYTES, Request, Traffic, broken_stream

_READ_TIMEOUT: Final = 4.0
"""The server's read timeout, in seconds."""
_LONG_INTERVAL: Final = 1.0
_SHORT_INTERVAL: Final = 0.2
"""Seconds between samples of the server's resources, in a long soak and in a short one."""
_FAILURE_PAUSE: Final = 0.05
"""Seconds that a client waits after a failure, so that fast refusals do not dominate the
traffic."""
_SHOWN: Final = 10
_UNREADABLE: Final = (ValueError, LookupError, TypeError, AssertionError)
"""Exceptions raised by reading a malformed answer."""
_RELEASE_TIMEOUT: Final = 60.0
"""Seconds within which the server must release its resources."""
_RECOVERY_TIMEOUT: Final = 60.0
"""Seconds within which the server must answer again after any refusals by Copilot."""


class Soak:
    """One soak test: its requests, their outcomes, and the problems found."""

    def __init__(
        self, url: str, traffic: Traffic, schedule: FaultSchedule, over: asyncio.Event
    ) -> None:
        self.kinds: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()
        self.bytes = 0
        self.problems: list[str] = []
        self._url = url
        self.traffic = traffic
        self._schedule = schedule
        self._over = over

    async def work(self) -> None:
        """Send requests until the soak is over."""
        client = Client(self._url)
        request: Request | None = None
        while not self._over.is_set():
            request = await self.ask(client, request or self.traffic.next())
        client.close()

    async def ask(self, client: Client, request: Request) -> Request | None:
        """Send a request and check the answer; return the follow-up request, or None."""
        self.kinds[request.kind] += 1
        started_at = time.monotonic()
        response = ClientResponse()
        try:
            response = await client.ask(
                request.method, request.path, request.body, request.headers, request.behavior
            )
            wrong = self._wrong(request, response)
        except (OSError, *_UNREADABLE) as error:
            wrong = f"{type(error).__name__}: {error}: {response.body[-300:]!r}"
        excuse = self._schedule.excuse(started_at, time.monotonic(), response.status)
        if wrong is not None:
            unclean = self._unclean(request, response)
            is_excused = excuse is not None and unclean is None
            if not is_excused:
                took = time.monotonic() - started_at
                when = f" (after {took:.1f} s, while: {excuse}; {unclean})" if excuse else ""
                self.problems.append(f"{request.kind}: {wrong}{when}")
            self.outcomes["clean error" if is_excused else "wrong"] += 1
            await asyncio.sleep(_FAILURE_PAUSE)
            return None
        self.bytes += len(response.body)
        self.outcomes["left" if response.left else "refused" if request.refused else "right"] += 1
        return None if request.then is None or response.left else request.then(response)

    def _wrong(self, request: Request, response: ClientResponse) -> str | None:
        if response.left:
            return None
        if request.refused:
            if response.status != request.refused:
                return f"status {response.status}, not {request.refused}: {response.body[:300]!r}"
            request.client.check_error(json.loads(response.body))
            return None
        if response.status != 200:
            return f"status {response.status}: {response.body[:300]!r}"
        if not response.complete:
            return f"cut after {len(response.body)} bytes: {response.body[-200:]!r}"
        return request.check(response)

    def _unclean(self, request: Request, response: ClientResponse) -> str | None:
        """Return why a failure is not a clean error, or None if it is."""
        try:
            if response.status == 200:
                said = broken_stream(request.client, response)
                if request.said is not None and not request.said.startswith(said):
                    return f"the broken stream said {said[-200:]!r}"
            elif response.status < 400:
                return f"status {response.status}"
            else:
                request.client.check_error(json.loads(response.body))
        except _UNREADABLE as error:
            return f"no clean error, {type(error).__name__}: {error}: {response.body[-300:]!r}"
        return None if response.complete else "the answer has no end"


async def soak(seconds: float, seed: int, workers: int, folder: Path) -> list[str]:
    """Run a soak test and print the report; return the problems found."""
    choice = random.Random(seed)
    over = asyncio.Event()

    async def pause(seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await over.wait()
        except TimeoutError:
            pass

    async with AsyncExitStack() as stack:
        simulator = await stack.enter_async_context(
            started("soak_simulator", "0.001", log=folder / "simulator.log")
        )
        address = await simulator.line()
        log = folder / "server.log"
        server = await stack.enter_async_context(
            started(
                "soak_server",
                str(_LONG_INTERVAL if seconds > 30 else _SHORT_INTERVAL),
                log=log,
                **_environment(address, folder),
            )
        )
        url = (await server.line())["url"]
        samples: list[Sample] = [await server.line()]
        watching = asyncio.create_task(_watch(server, samples))
        schedule = FaultSchedule(simulator.send, choice, pause)
        run = Soak(url, Traffic(choice), schedule, over)
        run.problems += await _recover(run, url, timeout=0)
        await _next(samples)
        before = samples[-1]
        working = [asyncio.create_task(run.work()) for _ in range(workers)]
        asyncio.get_running_loop().call_later(seconds, over.set)
        first = len(samples)
        while not over.is_set():
            await schedule.once()
        await asyncio.gather(*working)
        under_load = samples[first:]
        await simulator.send("restart")  # which closes kept-alive connections
        run.problems += await _recover(run, url, _RECOVERY_TIMEOUT)
        after = await _wait_for_release(samples, before)
        left = (await simulator.send("state"))["open"]
        watching.cancel()
        if left:
            run.problems.append(f"{left} requests were still open at the simulator")
    run.problems += _logged(log)
    return _report(run, schedule, under_load, before, after)


def _environment(address: dict[str, str], folder: Path) -> dict[str, str]:
    return {
        "COPILOT_PROXY_HOME_DIR": str(folder),
        "COPILOT_PROXY_PORT": "0",
        "COPILOT_PROXY_GITHUB_URL": address["url"],
        "COPILOT_PROXY_GITHUB_API_URL": address["url"],
        "COPILOT_PROXY_GITHUB_TOKEN": address["token"],
        "COPILOT_PROXY_API_KEY": KEY,
        "COPILOT_PROXY_READ_TIMEOUT": str(_READ_TIMEOUT),
        "COPILOT_PROXY_HEADER_GRACE": "1",
        "COPILOT_PROXY_KEEP_ALIVE": "0.5",
        "COPILOT_PROXY_OLLAMA": "true",
        "COPILOT_PROXY_OLLAMA_PORT": "0",
        "COPILOT_PROXY_LOG_FILE": str(folder / "requests.log"),
        "COPILOT_PROXY_LOG_FILE_BYTES": "200000",
        "COPILOT_PROXY_MAX_BODY_BYTES": str(MAX_BODY_BYTES),
        "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
    }


async def _watch(server: Process, samples: list[Sample]) -> None:
    while True:
        samples.append(await server.line())


async def _next(samples: list[Sample]) -> None:
    """Wait for a sample that is taken after this call."""
    known = len(samples)
    while len(samples) < known + 2:  # noqa: ASYNC110  # another task adds them
        await asyncio.sleep(0.1)


async def _recover(run: Soak, url: str, timeout: float) -> list[str]:
    """Send requests until an answer is right; yield a problem after `timeout` seconds."""
    client = Client(url)
    until = time.monotonic() + timeout
    while True:
        right = run.outcomes["right"]
        await run.ask(client, run.traffic.words())
        if run.outcomes["right"] > right:
            client.close()
            return []
        if time.monotonic() > until:
            return ["the server did not recover"]
        await asyncio.sleep(1)


async def _wait_for_release(samples: list[Sample], before: Sample) -> Sample:
    """Return the first sample that is as low as `before`, or the last one before the timeout."""
    until = time.monotonic() + _RELEASE_TIMEOUT
    while True:
        await _next(samples)
        last = samples[-1]
        calm = last["files"] <= before["files"] and last["tasks"] <= before["tasks"]
        if calm or time.monotonic() > until:
            return last


def _logged(log: Path) -> list[str]:
    """Return the lines of the log that indicate a bug."""
    lines = log.read_text(errors="replace").splitlines()
    found = [
        line for line in lines if "Traceback" in line or " error " in line or " critical " in line
    ]
    return [f"in the log: {line[:300]}" for line in found[:_SHOWN]]


def _report(
    run: Soak, schedule: FaultSchedule, samples: list[Sample], before: Sample, after: Sample
) -> list[str]:
    print(f"{sum(run.kinds.values()):,} requests, {run.bytes:,} bytes of answers checked")
    print("outcomes: " + ", ".join(f"{n:,} {name}" for name, n in run.outcomes.most_common()))
    for name, number in sorted(run.kinds.items()):
        print(f"  {number:7,} {name}")
    print("faults: " + ", ".join(f"{name} {n}" for name, n in sorted(schedule.counts.items())))
    problems = run.problems
    for line, wrong in verdicts(samples, before, after):
        print(line)
        problems += wrong
    for problem in problems[:_SHOWN]:
        print(f"WRONG: {problem}")
    if len(problems) > _SHOWN:
        print(f"... and {len(problems) - _SHOWN} more")
    print("FAILED" if problems else "passed: all answers correct, resource use flat")
    return problems


def main() -> int:
    """Run the soak; return the exit code."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=2)
    parser.add_argument("--seed", type=int, help="repeat the requests of an earlier run")
    parser.add_argument("--workers", type=int, default=24, help="number of concurrent clients")
    options = parser.parse_args()
    if not HAS_PROC:
        parser.error("CPU and memory are read from /proc, which is missing: use Linux")
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1_000_000)
    print(f"{options.minutes:g} minutes, {options.workers} clients, seed {seed}", flush=True)
    with (
        tempfile.TemporaryDirectory(prefix="soak-") as folder,
        asyncio.Runner(loop_factory=new_loop) as runner,
    ):
        running = soak(options.minutes * 60, seed, options.workers, Path(folder))
        return 1 if runner.run(running) else 0


if __name__ == "__main__":
    sys.exit(main())
