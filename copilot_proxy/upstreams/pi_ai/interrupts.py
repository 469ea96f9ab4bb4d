"""Lets Ctrl+C and its like wait until something short is done that must not be left half done."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

_INTERRUPTING: Final = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]


@contextmanager
def uninterrupted() -> Iterator[None]:
    """What would interrupt the block does so at its end."""
    came: list[int] = []
    before: dict[int, Any] = {}
    for number in _INTERRUPTING:
        if signal.getsignal(number) in (signal.SIG_IGN, None):
            continue  # as under nohup, which the new process inherits
        with suppress(ValueError):  # outside the main thread there are no interruptions
            before[number] = signal.signal(number, lambda number, _: came.append(number))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    for number in came:
        signal.raise_signal(number)
