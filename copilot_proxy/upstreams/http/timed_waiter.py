"""Waiting for what a server sends, with a timeout."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Final, Generic, TypeVar

import httpx

_GRACE: Final = 0.05
"""Seconds between a timeout and its error, for reading data that has already arrived: this process
may have been suspended itself."""

_Change = TypeVar("_Change")


class TimedWaiter(ABC, Generic[_Change]):
    """Waits for changes. It fails if there is none for `timeout` seconds.

    Sending a part of the request is a change, too: `unsent` returns how many bytes are left.
    """

    def __init__(self, timeout: float | None, unsent: Callable[[], int]) -> None:
        self._timeout = timeout
        self._unsent = unsent
        self._last_unsent = unsent()
        self._loop = asyncio.get_running_loop()
        self.now = self._loop.time
        """The clock of the timeout."""
        self.last_change = 0.0
        """When the timeout began."""
        self._timer: asyncio.TimerHandle | None = None
        self._grace_for: float | None = None
        """The `last_change` that the grace period is about."""
        self.waiter: asyncio.Future[_Change] | None = None
        self.error: httpx.TransportError | None = None

    @abstractmethod
    def wake(self) -> None:
        """Set the result of `waiter` after a change."""

    def change(self) -> "asyncio.Future[_Change]":
        """Return a future for the next change; raises the error after `fail`."""
        if self.error is not None:
            raise self.error
        self.waiter = self._loop.create_future()
        self.last_change = self.now()
        if self._timeout is not None and self._timer is None:
            self._timer = self._loop.call_at(
                self.last_change + self._timeout, self._check_timeout, self._timeout
            )
        return self.waiter

    def fail(self, error: httpx.TransportError) -> None:
        """Set the error to raise once the received bytes have been read."""
        self.error = self.error or error
        self.end()

    def end(self) -> None:
        """Wake up, and wait for nothing any more."""
        if self._timer is not None:
            self._timer.cancel()
        self.wake()

    def _check_timeout(self, timeout: float) -> None:
        """Fail with a timeout if there was no change, else set the timer again.

        All waits share one timer, because most are too short to be worth one of their own.
        """
        self._timer = None
        if self.waiter is None or self.waiter.done():
            return
        deadline = self.last_change + timeout
        if (now := self.now()) >= deadline:
            last, self._last_unsent = self._last_unsent, self._unsent()
            if self._last_unsent < last:
                self.last_change = now
                deadline = now + timeout
            elif self._grace_for != self.last_change:
                self._grace_for = self.last_change
                deadline = now + _GRACE
            else:
                self.fail(httpx.ReadTimeout(""))
                return
        self._timer = self._loop.call_at(deadline, self._check_timeout, timeout)
