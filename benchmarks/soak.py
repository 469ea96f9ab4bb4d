"""`python -m benchmarks.soak`: the whole server under mixed traffic while things go wrong.

The server, the simulator and this client are processes of their own. Each answer must be right, or,
while a fault is on, a clean error of its API; at the end memory, files, tasks and threads must be
what they were. The exit code is 1 otherwise.
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
from benchmarks.soak_client import Client, Got
from benchmarks.soak_faults import Trouble
from benchmarks.soak_processes import Process, started
from benchmarks.soak_report import Sample, verdicts
from benchmarks.soak_traffic import KEY, MOST_BYTES, Request, Traffic, broken_stream

_READ_TIMEOUT: Final = 2.0
"""Of the server: a silent upstream is given up after that."""
_EVERY: Final = 1.0
_OFTEN: Final = 0.2
"""Seconds between two looks at what the server uses, in a long soak and in a short one."""
_CHAGRIN: Final = 0.05
"""Seconds that a client waits after a failure; refusals come so fast that they would be most."""
_SHOWN: Final = 10
_UNREADABLE: Final = (ValueError, LookupError, TypeError, AssertionError)
"""What reading an answer fails with if it is not as it should be."""
_SETTLE: Final = 20.0
"""Seconds that the server has to let go of everything."""
_RESTED: Final = 40.0
"""Seconds within which a server answers again whatever it had been refused."""


class Soak:
    """One soak: what was asked, what came back, and what was wrong with it."""

    def __init__(self, url: str, traffic: Traffic, trouble: Trouble, over: asyncio.Event) -> None:
        self.kinds: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()
        self.bytes = 0
        self.problems: list[str] = []
        self._url = url
        self.traffic = traffic
        self._trouble = trouble
        self._over = over

    async def work(self) -> None:
        """One client after another, until it is over."""
        client = Client(self._url)
        request: Request | None = None
        while not self._over.is_set():
            request = await self.ask(client, request or self.traffic.next())
        client.close()

    async def ask(self, client: Client, request: Request) -> Request | None:
        """Sends a request and judges the answer; the request that follows, if one does."""
        self.kinds[request.kind] += 1
        begun = time.monotonic()
        got = Got()
        try:
            got = await client.ask(
                request.method, request.path, request.body, request.headers, request.manners
            )
            wrong = self._wrong(request, got)
        except (OSError, *_UNREADABLE) as error:
            wrong = f"{type(error).__name__}: {error}: {got.body[-300:]!r}"
        excuse = self._trouble.excuse(begun, time.monotonic(), got.status)
        if wrong is not None:
            unclean = self._unclean(request, got)
            is_excused = excuse is not None and unclean is None
            if not is_excused:
                took = time.monotonic() - begun
                when = f" (after {took:.1f} s, while: {excuse}; {unclean})" if excuse else ""
                self.problems.append(f"{request.kind}: {wrong}{when}")
            self.outcomes["failed with a clean error" if is_excused else "wrong"] += 1
            await asyncio.sleep(_CHAGRIN)
            return None
        self.bytes += len(got.body)
        self.outcomes["left" if got.left else "refused" if request.refused else "right"] += 1
        return None if request.then is None or got.left else request.then(got)

    def _wrong(self, request: Request, got: Got) -> str | None:
        if got.left:
            return None
        if request.refused:
            if got.status != request.refused:
                return f"status {got.status}, not {request.refused}: {got.body[:300]!r}"
            request.client.check_error(json.loads(got.body))
            return None
        if got.status != 200:
            return f"status {got.status}: {got.body[:300]!r}"
        if not got.complete:
            return f"cut after {len(got.body)} bytes: {got.body[-200:]!r}"
        return request.check(got)

    def _unclean(self, request: Request, got: Got) -> str | None:
        """Why a failure is none that a client could understand."""
        try:
            if got.status == 200:
                said = broken_stream(request.client, got)
                if request.said is not None and not request.said.startswith(said):
                    return f"the broken stream said {said[-200:]!r}"
            elif got.status < 400:
                return f"status {got.status}"
            else:
                request.client.check_error(json.loads(got.body))
        except _UNREADABLE as error:
            return f"no clean error, {type(error).__name__}: {error}: {got.body[-300:]!r}"
        return None if got.complete else "the answer has no end"


async def soak(seconds: float, seed: int, workers: int, folder: Path) -> list[str]:
    """Runs it and prints the report; what was wrong."""
    choice = random.Random(seed)
    over = asyncio.Event()

    async def pause(wanted: float) -> None:
        try:
            async with asyncio.timeout(wanted):
                await over.wait()
        except TimeoutError:
            pass

    async with AsyncExitStack() as stack:
        simulator = await stack.enter_async_context(
            started("soak_simulator", "0.001", log=folder / "simulator.log")
        )
        told = await simulator.line()
        log = folder / "server.log"
        server = await stack.enter_async_context(
            started(
                "soak_server",
                str(_EVERY if seconds > 30 else _OFTEN),
                log=log,
                **_environment(told, folder),
            )
        )
        url = (await server.line())["url"]
        samples: list[Sample] = [await server.line()]
        watching = asyncio.create_task(_watch(server, samples))
        trouble = Trouble(simulator.tell, choice, pause)
        run = Soak(url, Traffic(choice), trouble, over)
        run.problems += await _answers(run, url, patience=0)
        await _next(samples)
        before = samples[-1]
        working = [asyncio.create_task(run.work()) for _ in range(workers)]
        asyncio.get_running_loop().call_later(seconds, over.set)
        first = len(samples)
        while not over.is_set():
            await trouble.once()
        await asyncio.gather(*working)
        under_load = samples[first:]
        await simulator.tell("restart")  # which closes what is kept alive
        run.problems += await _answers(run, url, _RESTED)
        after = await _settled(samples, before)
        left = (await simulator.tell("state"))["open"]
        watching.cancel()
        if left:
            run.problems.append(f"{left} requests were still open at the simulator")
    run.problems += _logged(log)
    return _report(run, trouble, under_load, before, after)


def _environment(told: dict[str, str], folder: Path) -> dict[str, str]:
    return {
        "COPILOT_PROXY_HOME_DIR": str(folder),
        "COPILOT_PROXY_PORT": "0",
        "COPILOT_PROXY_GITHUB_URL": told["url"],
        "COPILOT_PROXY_GITHUB_API_URL": told["url"],
        "COPILOT_PROXY_GITHUB_TOKEN": told["token"],
        "COPILOT_PROXY_API_KEY": KEY,
        "COPILOT_PROXY_READ_TIMEOUT": str(_READ_TIMEOUT),
        "COPILOT_PROXY_HEADER_GRACE": "1",
        "COPILOT_PROXY_KEEP_ALIVE": "0.5",
        "COPILOT_PROXY_LOG_FILE": str(folder / "requests.log"),
        "COPILOT_PROXY_LOG_FILE_BYTES": "200000",
        "COPILOT_PROXY_MAX_BODY_BYTES": str(MOST_BYTES),
        "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
    }


async def _watch(server: Process, samples: list[Sample]) -> None:
    while True:
        samples.append(await server.line())


async def _next(samples: list[Sample]) -> None:
    """Waits for a sample that was taken after now."""
    known = len(samples)
    while len(samples) < known + 2:  # noqa: ASYNC110  # it is no task of ours that adds them
        await asyncio.sleep(0.1)


async def _answers(run: Soak, url: str, patience: float) -> list[str]:
    """Asks until there is a right answer; what is wrong if there is none for so many seconds."""
    client = Client(url)
    until = time.monotonic() + patience
    while True:
        right = run.outcomes["right"]
        await run.ask(client, run.traffic.words())
        if run.outcomes["right"] > right:
            client.close()
            return []
        if time.monotonic() > until:
            return ["the server did not recover"]
        await asyncio.sleep(1)


async def _settled(samples: list[Sample], before: Sample) -> Sample:
    """What the server uses when all is over, as soon as that is as little as before."""
    until = time.monotonic() + _SETTLE
    while True:
        await _next(samples)
        last = samples[-1]
        calm = last["files"] <= before["files"] and last["tasks"] <= before["tasks"]
        if calm or time.monotonic() > until:
            return last


def _logged(log: Path) -> list[str]:
    """Lines of the log that tell of a bug."""
    lines = log.read_text(errors="replace").splitlines()
    found = [
        line for line in lines if "Traceback" in line or " error " in line or " critical " in line
    ]
    return [f"the log says: {line[:300]}" for line in found[:_SHOWN]]


def _report(
    run: Soak, trouble: Trouble, samples: list[Sample], before: Sample, after: Sample
) -> list[str]:
    print(f"{sum(run.kinds.values()):,} requests, {run.bytes:,} bytes of answers checked")
    print("outcomes: " + ", ".join(f"{n:,} {name}" for name, n in run.outcomes.most_common()))
    for name, number in sorted(run.kinds.items()):
        print(f"  {number:7,} {name}")
    print("faults: " + ", ".join(f"{name} {n}" for name, n in sorted(trouble.met.items())))
    problems = run.problems
    for line, wrong in verdicts(samples, before, after):
        print(line)
        problems += wrong
    for problem in problems[:_SHOWN]:
        print(f"WRONG: {problem}")
    if len(problems) > _SHOWN:
        print(f"... and {len(problems) - _SHOWN} more")
    print("not flat, or not right" if problems else "all right, and flat")
    return problems


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=2)
    parser.add_argument("--seed", type=int, help="repeats the order of what is asked")
    parser.add_argument("--workers", type=int, default=24, help="clients at once")
    given = parser.parse_args()
    if not HAS_PROC:
        parser.error("CPU and memory are read from /proc, which is not here: use Linux")
    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(1_000_000)
    print(f"{given.minutes:g} minutes, {given.workers} clients, seed {seed}", flush=True)
    with (
        tempfile.TemporaryDirectory(prefix="soak-") as folder,
        asyncio.Runner(loop_factory=new_loop) as runner,
    ):
        running = soak(given.minutes * 60, seed, given.workers, Path(folder))
        return 1 if runner.run(running) else 0


if __name__ == "__main__":
    sys.exit(main())
