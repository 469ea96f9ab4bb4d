"""Runs work on large requests in a thread.

This leaves the event loop free for other requests. Almost all requests are small, and stay on the
event loop without the cost of switching threads. All large requests share one thread, because
Python runs only one thread at a time, and each busy thread makes the event loop wait longer.
"""

import asyncio
import gc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import Final, ParamSpec, TypeVar

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")

LARGE: Final = 128 * 1024
"""The minimum size in bytes of a request body that is processed in a thread. Smaller bodies take
less than the 20 ms for which other requests may have to wait."""
_KEPT_BYTES: Final = 8 * 1024 * 1024
"""Half of the freed memory that glibc should keep, in bytes."""


async def run_if_large(
    size: int,
    work: Callable[_Arguments, _Result],
    *args: _Arguments.args,
    **kwargs: _Arguments.kwargs,
) -> _Result:
    """Return ``work(*args, **kwargs)``, called in a thread if the `size` in bytes is large."""
    if size < LARGE:
        return work(*args, **kwargs)
    return await run_in_turn(work, *args, **kwargs)


async def run_in_turn(
    work: Callable[_Arguments, _Result], *args: _Arguments.args, **kwargs: _Arguments.kwargs
) -> _Result:
    """Return ``work(*args, **kwargs)``, called in the thread for large requests."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_thread(), _without_gc, partial(work, *args, **kwargs))


@cache
def _thread() -> ThreadPoolExecutor:
    # glibc returns freed memory to the system if it exceeds twice the largest block ever freed.
    # Without this block, each large request would have to allocate its memory again, page by page.
    # The block is never touched, so it takes up no memory itself.
    bytes(_KEPT_BYTES)
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="large requests")


def _without_gc(work: Callable[[], _Result]) -> _Result:
    """Return ``work()``, called without garbage collection. A decoded request consists of many
    objects and no garbage, so the collector would only scan them repeatedly."""
    gc.disable()
    try:
        return work()
    finally:
        gc.enable()
