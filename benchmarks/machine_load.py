"""The CPU use of other processes during the measurements (Linux: from /proc)."""

import os
import time
from pathlib import Path
from typing import Final

from benchmarks.processes import cpu_seconds

_TOO_MUCH: Final = 0.15
"""Share of a core above which the results are not reliable."""


class MachineLoad:
    """Measures the CPU use of other processes since this object was created."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._busy = _busy()
        self._own = cpu_seconds(os.getpid())

    def other_cores(self) -> float:
        """Return the average number of cores that other processes kept busy."""
        busy = _busy() - self._busy
        own = cpu_seconds(os.getpid()) - self._own
        return max(0.0, (busy - own) / (time.monotonic() - self._begun))


def warning(other_cores: float) -> str | None:
    """Return a warning if other processes used too much CPU."""
    if other_cores < _TOO_MUCH:
        return None
    return f"Other processes kept {other_cores:.2f} cores busy: compare only figures from this run."


def _busy() -> float:
    """Return the CPU seconds of the whole machine, without idle time."""
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n")[0].split()[1:8]]
    return (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")
