"""Shares the counters of worker processes: each process writes its counters to a file, and reads
the files of the others.

Requests are counted in batches, which takes less time than counting them one by one. A worker that
replaces a dead one continues the dead worker's counters, so that no counter ever goes down.
"""

import asyncio
import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from copilot_proxy.large_work import LARGE
from copilot_proxy.metrics.counters import Metrics
from copilot_proxy.relay.records import RequestRecord

log = logging.getLogger(__name__)

_INTERVAL: Final = 1.0
"""Seconds between writes while there are requests."""
_BATCH: Final = 16
"""The number of waiting requests at which a batch is counted early. A large request is counted
immediately, since its record holds the entire conversation."""


class SharedMetrics:
    """The counters of a server. `folder` contains the file of each process, or is None if there is
    only one process."""

    def __init__(self, folder: Path | None = None, number: int = 1) -> None:
        self._own = Metrics()
        self._ended: list[RequestRecord] = []
        """The requests that have not been counted yet."""
        self._before = Metrics()
        """The counters of the dead processes that this process has replaced."""
        self._folder = folder
        self._file = None if folder is None else folder / f"{number}.json"
        self._timer: asyncio.TimerHandle | None = None
        if self._file is not None:
            self._before.add(_read(self._file))

    def __call__(self, record: RequestRecord) -> None:
        """Count a completed request. Must be called on the event loop."""
        self._ended.append(record)
        if len(self._ended) >= _BATCH or record.size >= LARGE:
            self._count()
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_INTERVAL, self._update)

    @property
    def own(self) -> Metrics:
        """The counters of this process."""
        self._count()
        return self._own

    def total(self) -> Metrics:
        """Return the sums over all processes. The counters of other processes may be a second
        old."""
        if self._folder is None:
            return self.own
        total = self._with_before()
        for file in self._folder.glob("*.json"):
            if file != self._file:
                total.add(_read(file))
        return total

    def close(self) -> None:
        """Count the remaining requests, and write the counters."""
        if self._timer is not None:
            self._timer.cancel()
            self._update()

    def _with_before(self) -> Metrics:
        total = Metrics()
        total.add(self._before.snapshot())
        total.add(self.own.snapshot())
        return total

    def _count(self) -> None:
        ended, self._ended = self._ended, []
        for record in ended:
            try:
                self._own(record)
            except Exception:  # must not fail the current request
                log.exception("Request %s was not counted in the metrics.", record.request_id)

    def _update(self) -> None:
        self._timer = None
        self._count()
        # This writes a few kilobytes, at most once a second; using a thread would take longer.
        if self._file is None:
            return
        new = self._file.with_suffix(".new")
        with suppress(OSError):  # the supervisor has ended and removed the folder
            new.write_bytes(msgspec.json.encode(self._with_before().snapshot()))
            os.replace(new, self._file)


def _read(file: Path) -> dict[str, Any]:
    try:
        snapshot: dict[str, Any] = msgspec.json.decode(file.read_bytes())
    except (OSError, msgspec.DecodeError):
        return {}
    return snapshot
