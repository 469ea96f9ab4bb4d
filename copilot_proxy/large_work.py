"""Runs work that grows with the size of a request in a thread, if the request is large.

Meanwhile, the event loop serves other requests. Small requests, which are almost all, do not pay
for the change of threads.
"""

import asyncio
from collections.abc import Callable
from typing import Final, ParamSpec, TypeVar

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")

LARGE: Final = 128 * 1024
"""Bytes of a request body from which its work is done in a thread; below, it takes less than the
20 ms for which other requests may have to wait."""


async def run_if_large(
    size: int,
    work: Callable[_Arguments, _Result],
    *args: _Arguments.args,
    **kwargs: _Arguments.kwargs,
) -> _Result:
    """Return ``work(*args, **kwargs)``, called in a thread if `size`, in bytes, is large."""
    if size < LARGE:
        return work(*args, **kwargs)
    return await asyncio.to_thread(work, *args, **kwargs)
