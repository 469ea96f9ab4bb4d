"""Logs each finished request, and once a day any unknown names in Copilot's answers.

Requests are logged in batches, which takes less time than logging them one by one.
"""

import asyncio
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from copilot_proxy.formats.drift import Unknown
    from copilot_proxy.relay.records import RequestRecord

REQUESTS: Final = "copilot_proxy.requests"
"""The name of the logger for requests."""
STOPPED: Final = "server_stopped"
"""The error code of an answer that was cut off by a shutdown."""
_INTERVAL: Final = 0.05
"""Seconds between batches."""
_BATCH: Final = 16
"""The number of requests at which a batch is logged without waiting any longer."""
_DAY: Final = 24 * 60 * 60
_MAX_NAMES: Final = 200
"""Number of unknown names to count separately; later names are counted together."""
_SHOWN: Final = 20
"""Number of names to show in a text log line."""

log = logging.getLogger(REQUESTS)
_TEMPLATE: Final = vars(logging.LogRecord(REQUESTS, logging.INFO, "", 0, "request", (), None))


class Reporter:
    """Logs the record of each finished request."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` returns seconds."""
        self.is_cutting = False
        """Whether the server is cutting off open requests."""
        self._drift = DriftLog(clock)
        self._ended: list[tuple[RequestRecord, float]] = []
        """The requests that have not been logged yet, and when they ended."""
        self._timer: asyncio.TimerHandle | None = None
        self._thread: int | None = None
        """The thread in which requests end."""

    def __call__(self, record: "RequestRecord") -> None:
        if self.is_cutting and record.client_gone:
            record.client_gone, record.error = False, STOPPED
        self._ended.append((record, time.time()))
        if len(self._ended) >= _BATCH:
            self._log()
        elif self._timer is None:
            self._thread = threading.get_ident()
            try:
                self._timer = asyncio.get_running_loop().call_later(_INTERVAL, self._log)
            except RuntimeError:  # without an event loop, there are only a few requests
                self._log()

    def flush(self) -> None:
        """Log the waiting requests, so that they come before the next log line.

        Only has an effect in the thread in which requests end.
        """
        if self._ended and self._thread == threading.get_ident():
            self._log()

    def _log(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        ended, self._ended = self._ended, []
        is_logged = log.isEnabledFor(logging.INFO)
        for record, at in ended:
            if is_logged:
                log.handle(_entry(record, at))
            self._drift.add(record.unknown)


def _entry(record: "RequestRecord", ended: float) -> logging.LogRecord:
    """Return a log record for `record`, copied from a template.

    This takes a tenth of the time of `log.info`, which also looks up data that no log line shows,
    such as the calling function.
    """
    entry = logging.LogRecord.__new__(logging.LogRecord)
    entry.__dict__.update(_TEMPLATE)
    entry.created = ended
    entry.msecs = ended % 1 * 1000
    entry.record = record
    return entry


class DriftLog:
    """Counts unknown names in Copilot's answers, and logs the counts at most once a day."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._counts: Counter[tuple[str, str]] = Counter()
        self._next = float("-inf")
        """The earliest time for the next line."""

    def add(self, unknown: "list[Unknown]") -> None:
        """Count `unknown`; log all counts unless counts were logged less than a day ago."""
        for one in unknown:
            is_new = one not in self._counts and len(self._counts) >= _MAX_NAMES
            self._counts[("other", "names") if is_new else one] += 1
        if self._counts and self._clock() >= self._next:
            self._next = self._clock() + _DAY
            self._log()
            self._counts.clear()

    def _log(self) -> None:
        found = [f"{kind} {name} ({count})" for (kind, name), count in self._counts.most_common()]
        more = f", and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        log.info(
            "Copilot sent values that this version does not know: %s%s. Check for a newer version.",
            ", ".join(found[:_SHOWN]),
            more,
            extra={"fields": {"event": "drift", "unknown": found}},
        )
