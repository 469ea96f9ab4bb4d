"""Raises the limit on open files to the maximum that the system allows.

A stream needs two descriptors, one for the client and one for Copilot, and many systems start with
a limit of 256 or 1,024.
"""

from contextlib import suppress
from typing import Final

_WANTED: Final = 65_536
_FALLBACK: Final = 10_240
"""The maximum that macOS accepts, even though it reports no hard limit."""


def raise_limit() -> None:
    """Raise this process's soft limit on open files; leave it unchanged if that fails."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in (_WANTED, _FALLBACK):
        if hard != resource.RLIM_INFINITY:
            wanted = min(wanted, hard)
        if soft == resource.RLIM_INFINITY or wanted <= soft:
            return
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            return
