"""Runs blocking functions in daemon threads, which do not delay the program's exit."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def submit(call: Callable[[], T]) -> Future[T]:
    """Run `call` in a new daemon thread. An executor would wait for its threads at exit."""
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()

    def run() -> None:
        try:
            result = call()
        except BaseException as error:  # raised where the future is awaited
            future.set_exception(error)
        else:
            future.set_result(result)

    threading.Thread(target=run, daemon=True).start()
    return future


async def run_in_thread(call: Callable[[], T]) -> T:
    """Return `call`'s result without blocking the event loop.

    If the caller is cancelled, the thread keeps running.
    """
    return await asyncio.wrap_future(submit(call))
