"""Sends counters and traces of requests to an OpenTelemetry collector in the background.

A request only adds an entry to a queue. If the collector is slow or unreachable, the oldest entries
are dropped, so requests never wait.
"""

import asyncio
import logging
import time
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Final

import msgspec

from copilot_proxy.formats.types import Json
from copilot_proxy.metrics import otlp
from copilot_proxy.metrics.counters import Metrics
from copilot_proxy.relay.costs import COUNT_TOKENS, INPUT_TOKENS
from copilot_proxy.relay.records import RequestRecord
from copilot_proxy.settings.telemetry import OtlpTarget

log = logging.getLogger(__name__)

INTERVAL: Final = 5.0
"""Seconds for which requests are collected before they are sent."""
_METRICS_INTERVAL: Final = 60.0
_CLOSE_SECONDS: Final = 3.0
_MAX_SPANS: Final = 2048
"""Maximum number of requests waiting to be sent."""
_MAX_BATCH: Final = 512

Post = Callable[[str, bytes, Mapping[str, str]], Awaitable[None]]
"""Sends a JSON body to a URL, with headers. Raises `OSError` if the body is not accepted."""


class OtlpExporter:
    """Exports the data of one process. An instance is called with each completed request."""

    def __init__(
        self, target: OtlpTarget, metrics: Metrics, post: Post, *, interval: float = INTERVAL
    ) -> None:
        self._target = target
        self._metrics = metrics
        self._post = post
        self._interval = interval
        self._resource = {**target.resource, "service.instance.id": str(uuid.uuid4())}
        self._spans: deque[Json] = deque(maxlen=_MAX_SPANS)
        self._added = asyncio.Event()
        """Set by a new request, and by `close`."""
        self._closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._start = time.time_ns()
        self._is_failing = False

    def __call__(self, record: RequestRecord) -> None:
        """Add a request. Must be called on the event loop."""
        if record.api in (COUNT_TOKENS, INPUT_TOKENS):
            return
        self._spans.append(otlp.span_of(record, time.time_ns()))
        self._added.set()
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Send the remaining data, for at most three seconds."""
        if self._task is None:
            return
        # A batch that is being sent is not in the queue, so let the task end on its own.
        self._closing.set()
        self._added.set()
        await asyncio.wait([self._task], timeout=_CLOSE_SECONDS)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        next_metrics = 0.0
        is_last = False
        while not is_last:
            with suppress(TimeoutError):
                async with asyncio.timeout(_METRICS_INTERVAL):
                    await self._added.wait()
                async with asyncio.timeout(self._interval):
                    await self._closing.wait()
            is_last = self._closing.is_set()
            self._added.clear()
            await self._send_spans()
            if is_last or time.monotonic() >= next_metrics:
                next_metrics = time.monotonic() + _METRICS_INTERVAL
                await self._send_metrics()

    async def _send_spans(self) -> None:
        while self._spans:
            batch = [self._spans.popleft() for _ in range(min(len(self._spans), _MAX_BATCH))]
            if not await self._send("traces", otlp.traces(batch, self._resource)):
                # Send these requests with the next batch, unless too many are waiting by then.
                room = _MAX_SPANS - len(self._spans)
                self._spans.extendleft(reversed(batch[-room:] if room else []))
                return

    async def _send_metrics(self) -> None:
        body = otlp.metrics(self._metrics, self._resource, self._start, time.time_ns())
        await self._send("metrics", body)

    async def _send(self, signal: str, body: Json) -> bool:
        """Send a body; return whether the collector accepted it."""
        url = f"{self._target.url}/v1/{signal}"
        try:
            await self._post(url, msgspec.json.encode(body), self._target.headers)
        except OSError as error:
            if not self._is_failing:
                log.warning("The OpenTelemetry collector does not accept %s: %s.", signal, error)
            self._is_failing = True
            return False
        self._is_failing = False
        return True
