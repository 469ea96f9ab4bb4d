"""The check that a server's memory, files, tasks and threads did not grow during a soak test."""

import os
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

Sample = dict[str, Any]

_MIN_SAMPLES: Final = 40


@dataclass(frozen=True)
class Limit:
    """How much a resource may grow between the second and the last quarter of the samples.

    The allowed growth is a share plus a constant. The first quarter is the warm-up.
    """

    name: str
    share: float
    more: float
    unit: float = 1.0
    shown: str = ""
    idle: float | None = None
    """How much more may be in use after the soak than before it; None means any amount."""


_POOL: Final = min(32, (os.cpu_count() or 1) + 4)
"""The most threads in asyncio's own pool, which starts them on demand and keeps them."""

LIMITS: Final = (
    Limit("memory", 0.05, 3 * 2**20, 2**20, " MiB"),
    # A leak of one object per request exceeds this within two minutes. The number of open requests
    # changes from minute to minute, and each has a few tasks and hundreds of objects.
    Limit("objects", 0.03, 6000),
    Limit("files", 0.3, 12, idle=4),
    Limit("tasks", 0.3, 48, idle=2),
    # The pool may grow at any time, even late in the soak on a busy machine. The extra thread is
    # for large requests.
    Limit("threads", 0.0, max(4, _POOL), idle=_POOL + 1),
)


def verdicts(
    samples: Sequence[Sample], before: Sample, after: Sample
) -> Iterator[tuple[str, list[str]]]:
    """Yield (report line, problems) for each resource.

    Growth is checked only if there are at least `_MIN_SAMPLES` samples.
    """
    quarter = max(1, len(samples) // 4)
    for limit in LIMITS:
        early = _median(samples[quarter : 2 * quarter] or samples, limit.name)
        late = _median(samples[-quarter:], limit.name)
        allowed = early * (1 + limit.share) + limit.more
        line = (
            f"{limit.name}: {_shown(limit, before[limit.name])} before, "
            f"{_shown(limit, early)} in the second quarter, {_shown(limit, late)} in the last "
            f"(allowed: {_shown(limit, allowed)}), {_shown(limit, after[limit.name])} after"
        )
        wrong = []
        if late > allowed and len(samples) >= _MIN_SAMPLES:
            wrong.append(f"{limit.name} grew from {_shown(limit, early)} to {_shown(limit, late)}")
        if limit.idle is not None and after[limit.name] > before[limit.name] + limit.idle:
            wrong.append(
                f"{limit.name}: {_shown(limit, after[limit.name])} were left over, "
                f"{_shown(limit, before[limit.name])} were there before"
            )
        yield line, wrong


def _median(samples: Sequence[Sample], name: str) -> float:
    return float(statistics.median(sample[name] for sample in samples))


def _shown(limit: Limit, value: float) -> str:
    return f"{value / limit.unit:,.{1 if limit.unit > 1 else 0}f}{limit.shown}"
