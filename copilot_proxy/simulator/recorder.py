"""Records every request and how it ended, so that tests can check what was sent and how often."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from .types import Json

COMPLETE = "complete"
CLIENT_GONE = "client_gone"
FAULT = "fault"
BUG = "bug"
"""The simulator itself failed; uvicorn responds with 500 and logs the error."""


@dataclass
class RecordedRequest:
    """A request and how it ended; times are in seconds of the monotonic clock."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    """The headers, with names in lowercase."""
    body: Any = None
    """The decoded JSON or form, or None if the body is neither."""
    raw: bytes = b""
    time: float = field(default_factory=time.monotonic)
    status: int | None = None
    finished: str | None = None
    """``complete``, ``client_gone``, ``fault`` or ``bug``; None while in progress."""
    ended: float | None = None
    done: threading.Event = field(default_factory=threading.Event, repr=False)
    """Set when the request has finished."""
    whole: Callable[[], dict[str, Any]] | None = field(default=None, repr=False)
    """Returns the answer as a single body. The field is None if the request was refused."""

    @property
    def charged(self) -> int | None:
        """The cost of the complete answer in billionths of an AI credit, or None if unknown."""
        usage = self.whole().get("copilot_usage") if self.whole is not None else None
        return None if usage is None else int(usage["total_nano_aiu"])

    @property
    def initiator(self) -> str | None:
        """``user`` or ``agent``, if the client declared it."""
        return self.headers.get("x-initiator")

    @property
    def vision(self) -> bool:
        """Whether the client sent the vision header."""
        return self.headers.get("copilot-vision-request", "").lower() == "true"

    @property
    def closed_by_client(self) -> bool:
        """Whether the client disconnected before the answer was complete."""
        return self.finished == CLIENT_GONE

    def public(self) -> Json:
        """Return the record as JSON data, with secrets masked."""
        headers = dict(self.headers)
        if "authorization" in headers:
            headers["authorization"] = masked(headers["authorization"])
        body = self.body
        if isinstance(body, dict) and "device_code" in body:
            body = {**body, "device_code": "***"}
        return {
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "headers": headers,
            "body": body,
            "time": round(self.time, 6),
            "status": self.status,
            "finished": self.finished,
            "initiator": self.initiator,
            "vision": self.vision,
            "closed_by_client": self.closed_by_client,
        }


def masked(authorization: str) -> str:
    """Return the scheme and the token's prefix, without the token itself."""
    scheme, _, token = authorization.partition(" ")
    kind = "tid=" if token.startswith("tid=") else token[:4] if token[3:4] == "_" else ""
    return f"{scheme} {kind}***"


@dataclass
class Concurrency:
    """The current and the peak number of requests in progress."""

    now: int = 0
    max: int = 0


class Recorder:
    """The recorded requests; all methods are thread-safe."""

    def __init__(self) -> None:
        self.records: list[RecordedRequest] = []
        self.concurrency = Concurrency()
        self._changed = threading.Condition()

    def add(self, record: RecordedRequest) -> None:
        """Record a request that has arrived."""
        with self._changed:
            self.records.append(record)
            self._changed.notify_all()

    def answered(self, record: RecordedRequest, status: int) -> None:
        """Record the status of the response."""
        with self._changed:
            record.status = status
            self._changed.notify_all()

    def finish(self, record: RecordedRequest, reason: str) -> None:
        """Record how a request ended; only the first call has an effect."""
        with self._changed:
            if record.finished is None:
                record.finished = reason
                record.ended = time.monotonic()
                record.done.set()
            self._changed.notify_all()

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count a request as in progress while the ``with`` block runs."""
        with self._changed:
            self.concurrency.now += 1
            self.concurrency.max = max(self.concurrency.max, self.concurrency.now)
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self.concurrency.now -= 1
                self._changed.notify_all()

    def wait_for(
        self, predicate: Callable[[RecordedRequest], bool], timeout: float = 60.0
    ) -> RecordedRequest:
        """Return the first matching record, waiting up to `timeout` seconds for it.

        Raises TimeoutError if there is none in time.
        """
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                for record in self.records:
                    if predicate(record):
                        return record
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f"no matching request among {len(self.records)}")
                self._changed.wait(left)

    async def wait_for_async(
        self, predicate: Callable[[RecordedRequest], bool], timeout: float = 60.0
    ) -> RecordedRequest:
        """Wait like `wait_for`, but without blocking the event loop."""
        return await asyncio.to_thread(self.wait_for, predicate, timeout)

    def clear(self) -> None:
        """Forget all records, and reset the peak concurrency."""
        with self._changed:
            self.records.clear()
            self.concurrency.max = self.concurrency.now
