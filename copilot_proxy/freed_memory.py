"""Returns freed memory to the operating system.

glibc keeps it for the next allocations: after a request of 4 MB, 14 MiB.
"""

import sys
from collections.abc import Callable
from functools import cache


def return_freed_memory() -> None:
    """Return what glibc keeps, which takes some milliseconds; do nothing with other C libraries."""
    if trim := _malloc_trim():
        trim(0)


@cache
def _malloc_trim() -> Callable[[int], int] | None:
    if sys.platform != "linux":
        return None
    import ctypes  # here, since most servers never need it

    trim: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return trim
