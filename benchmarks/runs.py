"""Runs a measure against a target, and adds the target's CPU and memory use."""

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

from benchmarks.measures import CPU, Measure, Result, Task
from benchmarks.processes import TARGET_CORE, cpu_seconds, memory, pinned, run_json
from benchmarks.target import Fake, Target, environment
from benchmarks.upstream_answers import CHAT_MODEL

_INTERVAL: Final = 0.5
"""Seconds between samples of the memory."""
_IDLE: Final = 1.0
"""Seconds to wait before the idle memory is read."""


def run(measure: Measure, target: Target, fake: Fake, *, quick: bool) -> Result:
    """Return the load client's results plus the CPU and memory use of the target's processes."""
    spec = measure.spec(quick=quick)
    spec = {
        **spec,
        "url": target.url,
        "path": target.prefix + spec["path"],
        "model": target.models.get(spec["model"], spec["model"]),
        "key": target.key,
        "upstream": fake.url,
    }
    _warm(spec)
    if target.process is None:
        return dict(run_json("load", spec))
    before = cpu_seconds(target.process)
    with _watched(target.process, watch=measure.watch_memory) as peak:
        result = dict(run_json("load", spec))
    used = cpu_seconds(target.process) - before
    if events := result.get("events"):
        result[CPU] = used / events * 1000
    if requests := result.get("requests") or result.get("completed"):
        result["cpu_each"] = used / requests * 1000
    if measure.watch_memory:
        result["memory_each"] = peak() / spec["streams"] / 1024
    return result


def fresh(start: Callable[[], AbstractContextManager[Target]], fake: Fake) -> Result:
    """Start a target; measure its startup time and its memory when idle and after 200 streams."""
    with start() as target:
        assert target.process is not None
        time.sleep(_IDLE)
        result: Result = {"start": target.started, "idle": memory(target.process) / 2**20}
        spec = {
            "work": "streams",
            "url": target.url,
            "path": target.prefix + "/chat/completions",
            "model": target.models.get(CHAT_MODEL, CHAT_MODEL),
            "key": target.key,
            "streams": 200,
            "rate": 20,
            "count": 40,
            "ramp": 1,
        }
        load = run_json("load", spec)
        time.sleep(_IDLE)
        result["after"] = memory(target.process) / 2**20
        return {**result, "wrong": load["wrong"], "problems": load["problems"]}


def commands(build: Sequence[str], fake: Fake, folder: Path) -> Result:
    """Return the wall and CPU seconds of commands that users type."""
    result: Result = {}
    for name, *arguments in (("help", "--help"), ("models", "models")):
        wall, cpu = _timed([*build, *arguments], environment(fake, folder / "home"))
        result |= {f"{name}_wall": wall, f"{name}_cpu": cpu}
    return result


def _timed(command: Sequence[str], environ: dict[str, str]) -> tuple[float, float]:
    """Return the wall and CPU seconds of a program, which must succeed."""
    started_at = time.monotonic()
    with subprocess.Popen(
        pinned(command, TARGET_CORE),
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        _, status, used = os.wait4(process.pid, 0)
        took = time.monotonic() - started_at
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} exited with {process.returncode}")
    return took, used.ru_utime + used.ru_stime


def _warm(spec: Task) -> None:
    """Run a short task, to warm up connections and caches."""
    if spec["work"] == "requests":
        run_json("load", {**spec, "seconds": 0.3})
    elif spec["work"] == "streams":
        # The upstream prepares its answers for each `count`.
        count = spec["count"] if not spec["rate"] else 5
        run_json("load", {**spec, "streams": 2, "count": count, "rounds": 1, "ramp": 0})


@contextmanager
def _watched(process: int, *, watch: bool) -> Iterator[Callable[[], int]]:
    """Yield a function that returns the peak growth in bytes of a process's memory."""
    before = memory(process)
    samples = [before]
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(_INTERVAL):
            samples.append(memory(process))

    thread = threading.Thread(target=look)
    if watch:
        thread.start()
    try:
        yield lambda: max(samples) - before
    finally:
        ended.set()
        if watch:
            thread.join()
