"""Returns freed memory to the operating system.

glibc keeps it for later allocations: 14 MiB after a request of 4 MB, for example.
"""

import sys
from collections.abc import Callable
from functools import cache


def return_freed_memory() -> None:
    """Make glibc give up the freed memory that it keeps. This takes milliseconds. Other C libraries
    keep none."""
    if trim := _malloc_trim():
        trim(0)


@cache
def _malloc_trim() -> Callable[[int], int] | None:
    if sys.platform != "linux":
        return None
    import ctypes  # imported here, since most servers never need it

    trim: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return trim
