"""How much of the machine others used while we measured (Linux: from /proc)."""

import os
import time
from pathlib import Path
from typing import Final

from benchmarks.processes import cpu_seconds

_TOO_MUCH: Final = 0.15
"""Of one core: above that, figures are worth little."""


class Noise:
    """Counts from the moment it is made."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._busy = _busy()
        self._own = cpu_seconds(os.getpid())

    def others(self) -> float:
        """Cores that others kept busy since then, on average."""
        busy = _busy() - self._busy
        own = cpu_seconds(os.getpid()) - self._own
        return max(0.0, (busy - own) / (time.monotonic() - self._begun))


def warning(others: float) -> str | None:
    """What to say if it was too much."""
    if others < _TOO_MUCH:
        return None
    return f"Others kept {others:.2f} cores busy meanwhile: compare within this run only."


def _busy() -> float:
    """CPU seconds of the whole machine, without its idling."""
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n")[0].split()[1:8]]
    return (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")
