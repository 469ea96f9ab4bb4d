"""Handles signals that ask the server to stop: Ctrl+C, SIGTERM, and a closed terminal."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from types import FrameType
from typing import Any

_STOP_SIGNALS = [signal.SIGINT, signal.SIGTERM]
if sys.platform == "win32":
    _STOP_SIGNALS.append(signal.SIGBREAK)


def handle_stop_signals(
    on_stop: Callable[[], None], on_hangup: Callable[[], None]
) -> contextlib.AbstractContextManager[None]:
    """While the block runs, call these functions on signals instead of exiting.

    `on_stop` is called for each Ctrl+C and SIGTERM, `on_hangup` for each SIGHUP. When a terminal is
    closed, both the shell and the system send SIGHUP, so a second SIGHUP does not mean "stop now".
    If the process was started with SIGHUP ignored (``nohup``), SIGHUP stays ignored.
    """
    actions: dict[int, Callable[[], None]] = dict.fromkeys(_STOP_SIGNALS, on_stop)
    if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        actions[signal.SIGHUP] = on_hangup
    return on_signals(actions)


@contextlib.contextmanager
def on_signals(actions: Mapping[int, Callable[[], None]]) -> Iterator[None]:
    """Call each signal's function on the running event loop while the block runs."""
    loop = asyncio.get_running_loop()

    def handle(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(actions[number])

    before: dict[int, Any] = {}
    for number in actions:
        # Python only allows signal handlers in the main thread.
        with contextlib.suppress(ValueError):
            before[number] = signal.signal(number, handle)
    try:
        yield
    finally:
        for replaced, handler in before.items():
            signal.signal(replaced, handler)


def ignore_stop_signals() -> None:
    """Ignore all stop signals from now on. Does nothing outside the main thread."""
    for number in _handled_signals():
        with contextlib.suppress(ValueError):  # not possible outside the main thread
            signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def restored_signals() -> Iterator[None]:
    """Restore the signal handlers when the block ends."""
    before = {number: signal.getsignal(number) for number in _handled_signals()}
    try:
        yield
    finally:
        for number, handler in before.items():
            with contextlib.suppress(ValueError):  # outside the main thread, nothing was changed
                signal.signal(number, handler)


def _handled_signals() -> list[signal.Signals]:
    return _STOP_SIGNALS if sys.platform == "win32" else [*_STOP_SIGNALS, signal.SIGHUP]
