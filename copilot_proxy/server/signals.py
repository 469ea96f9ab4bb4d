"""Requests to end that come from the system: Ctrl+C, SIGTERM, and a terminal that is closed."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from types import FrameType
from typing import Any

_ASKING = [signal.SIGINT, signal.SIGTERM]
if sys.platform == "win32":
    _ASKING.append(signal.SIGBREAK)


def answered(
    stop: Callable[[], None], hang_up: Callable[[], None]
) -> contextlib.AbstractContextManager[None]:
    """While the block runs, signals call these functions instead of ending Python.

    `stop` is called for each Ctrl+C and SIGTERM. `hang_up` is for SIGHUP: the shell and the system
    both send it when a terminal is closed, so that a second one says nothing new. Whoever was
    started to outlive the terminal (``nohup``) ignores it, and goes on doing so.
    """
    actions: dict[int, Callable[[], None]] = dict.fromkeys(_ASKING, stop)
    if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        actions[signal.SIGHUP] = hang_up
    return on_signals(actions)


@contextlib.contextmanager
def on_signals(actions: Mapping[int, Callable[[], None]]) -> Iterator[None]:
    """While the block runs, each of these signals calls its function, on the event loop."""
    loop = asyncio.get_running_loop()

    def handle(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(actions[number])

    before: dict[int, Any] = {}
    for number in actions:
        # Outside the main thread there are no signals to listen to.
        with contextlib.suppress(ValueError):
            before[number] = signal.signal(number, handle)
    try:
        yield
    finally:
        for taken, handler in before.items():
            signal.signal(taken, handler)


def ignore() -> None:
    """From now on none of these signals does anything, where that can be said."""
    for number in _all():
        with contextlib.suppress(ValueError):  # outside the main thread
            signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def put_back() -> Iterator[None]:
    """Makes the signals mean what they meant before the block."""
    before = {number: signal.getsignal(number) for number in _all()}
    try:
        yield
    finally:
        for number, handler in before.items():
            with contextlib.suppress(ValueError):  # not the main thread: nothing was changed
                signal.signal(number, handler)


def _all() -> list[signal.Signals]:
    return _ASKING if sys.platform == "win32" else [*_ASKING, signal.SIGHUP]
