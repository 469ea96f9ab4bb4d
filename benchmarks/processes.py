"""Starts processes on a given core, and reads their CPU and memory use (Linux: from /proc)."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
HAS_PROC: Final = Path("/proc/self/smaps_rollup").exists()
"""Whether this system lets us read the CPU and memory use of processes."""
_TICKS: Final = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
_ALL_THREADS: Final = 2
"""Part of a Linux clock id: count the CPU time of all threads of the process."""
TOOLS_CORE: Final = 0
TARGET_CORE: Final = 1


def new_loop() -> asyncio.AbstractEventLoop:
    """Return an event loop; uvloop's if it is installed."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


def pinned(command: Sequence[str], core: int) -> list[str]:
    """Return `command` pinned to a core if the system has several cores and `taskset`."""
    if (os.cpu_count() or 1) < 2 or shutil.which("taskset") is None:
        return list(command)
    return ["taskset", "-c", str(core), *command]


@contextmanager
def helper(
    module: str, *arguments: str, core: int = TOOLS_CORE
) -> Iterator[tuple[dict[str, Any], int]]:
    """Run a module of this package that serves until its standard input is closed.

    Yields the JSON that the module prints when it is ready, and the process id.
    """
    command = pinned([sys.executable, "-m", f"benchmarks.{module}", *arguments], core)
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            if not line:
                raise RuntimeError(f"{module} did not start")
            yield json.loads(line), process.pid
        finally:
            end(process)


def end(process: "subprocess.Popen[Any]", timeout: float = 10) -> None:
    """Terminate a process; kill it if it does not exit within `timeout` seconds."""
    if process.stdin is not None:
        process.stdin.close()
    process.terminate()
    try:
        process.wait(timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def run_json(module: str, spec: Mapping[str, Any], timeout: float = 600) -> Any:
    """Run a module of this package with `spec` as JSON on its input; return its JSON output."""
    command = pinned([sys.executable, "-m", f"benchmarks.{module}"], TOOLS_CORE)
    done = subprocess.run(
        command,
        cwd=ROOT,
        input=json.dumps(spec),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{module} failed: {done.stderr[-2000:]}")
    return json.loads(done.stdout)


def tree(process: int) -> list[int]:
    """Return the ids of a process and all its descendants."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(_fields(stat)[1])
        except OSError:
            continue  # it has just exited
    found = [process]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


def cpu_seconds(process: int) -> float:
    """Return the CPU seconds of a process and its descendants, including exited children."""
    total = 0.0
    for one in tree(process):
        try:
            fields = _fields(Path(f"/proc/{one}/stat"))
            # A process's own clock is more precise than the ticks of 10 ms.
            total += time.clock_gettime(~one << 3 | _ALL_THREADS)
        except OSError:
            continue
        total += sum(int(field) for field in fields[13:15]) / _TICKS
    return total


def memory(process: int) -> int:
    """Return the memory of a process tree in bytes (PSS, which splits shared pages fairly)."""
    return sum(_pss(one) for one in tree(process))


def _pss(process: int) -> int:
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def _fields(stat: Path) -> list[str]:
    """Return the fields of a stat file after the name, which may contain spaces."""
    return stat.read_text().rpartition(")")[2].split()
