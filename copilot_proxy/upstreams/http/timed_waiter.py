"""Waits for data from a server, with a timeout."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

import httpx

_GRACE: Final = 0.05
"""Seconds from a timeout to its error. In between, data that has already arrived is read, in case
this process itself was suspended."""

_Change = TypeVar("_Change")


class WaitTimer:
    """The timer for all waits on a connection, which has one wait at a time.

    The timer keeps running when a wait ends, because almost all waits are too short to be worth a
    timer of their own.
    """

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._handle: asyncio.TimerHandle | None = None
        self._due = 0.0
        """When the timer expires."""
        self._waiter: TimedWaiter[Any] | None = None

    def watch(self, waiter: "TimedWaiter[Any]", due: float) -> None:
        """Check `waiter` when the loop's clock reaches `due`. This replaces any earlier waiter."""
        self._waiter = waiter
        if self._handle is not None and self._due > due:
            self.cancel()
        if self._handle is None:
            self._due = due
            self._handle = self.loop.call_at(due, self._check)

    def cancel(self) -> None:
        """Stop checking."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _check(self) -> None:
        self._handle = None
        if (waiter := self._waiter) is not None:
            self._waiter = None
            waiter.check_timeout()


class TimedWaiter(ABC, Generic[_Change]):
    """Waits for changes, and fails if there is none for `timeout` seconds.

    Sending a part of the request also counts as a change; `unsent` returns how many bytes are left.
    """

    def __init__(self, timer: WaitTimer, timeout: float | None, unsent: Callable[[], int]) -> None:
        self._timer = timer
        self._timeout = timeout
        self._unsent = unsent
        self._last_unsent = unsent()
        self._loop = timer.loop
        self.now = timer.loop.time
        """The clock for the timeout."""
        self.last_change = 0.0
        """When the last change occurred, or when the wait began if there was none."""
        self._grace_for: float | None = None
        """The `last_change` that the grace period belongs to."""
        self.waiter: asyncio.Future[_Change] | None = None
        self.error: httpx.TransportError | None = None

    @abstractmethod
    def wake(self) -> None:
        """Set the result of `waiter` after a change."""

    def change(self) -> "asyncio.Future[_Change]":
        """Return a future for the next change. After `fail`, raises its error instead."""
        if self.error is not None:
            raise self.error
        self.waiter = self._loop.create_future()
        self.last_change = self.now()
        if self._timeout is not None:
            self._timer.watch(self, self.last_change + self._timeout)
        return self.waiter

    def fail(self, error: httpx.TransportError) -> None:
        """Set the error to raise once the received bytes have been read."""
        self.error = self.error or error
        self.wake()

    def check_timeout(self) -> None:
        """Fail with a timeout if there was no change, otherwise schedule another check."""
        if self.waiter is None or self.waiter.done() or self._timeout is None:
            return
        due = self.last_change + self._timeout
        if (now := self.now()) >= due:
            last, self._last_unsent = self._last_unsent, self._unsent()
            if self._last_unsent < last:
                self.last_change = now
                due = now + self._timeout
            elif self._grace_for != self.last_change:
                self._grace_for = self.last_change
                due = now + _GRACE
            else:
                self.fail(httpx.ReadTimeout(""))
                return
        self._timer.watch(self, due)
