"""Blocking calls on threads of their own that never keep the program from ending."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def start(call: Callable[[], T]) -> Future[T]:
    """Runs `call` on a daemon thread; a pool's threads would be waited for at exit."""
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()

    def run() -> None:
        try:
            result = call()
        except BaseException as error:  # handed to whoever waits
            future.set_exception(error)
        else:
            future.set_result(result)

    threading.Thread(target=run, daemon=True).start()
    return future


async def in_thread(call: Callable[[], T]) -> T:
    """`call`'s result without blocking the event loop; cancelling leaves the thread behind."""
    return await asyncio.wrap_future(start(call))
