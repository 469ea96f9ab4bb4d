"""Delays Ctrl+C and termination signals during short critical sections."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

_INTERRUPTING: Final = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Defer signals until the block ends."""
    received: list[int] = []
    handlers: dict[int, Any] = {}
    for number in _INTERRUPTING:
        if signal.getsignal(number) in (signal.SIG_IGN, None):
            continue  # ignored, as under nohup; child processes must inherit this
        with suppress(ValueError):  # signals only interrupt the main thread
            handlers[number] = signal.signal(number, lambda number, _: received.append(number))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    for number in received:
        signal.raise_signal(number)
