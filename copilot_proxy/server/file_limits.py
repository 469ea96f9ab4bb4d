"""How many files and connections this process may have open: as many as the system permits.

A stream takes two, one to the client and one to Copilot, and many systems begin with 256 or 1,024.
"""

from contextlib import suppress
from typing import Final

_ENOUGH: Final = 65_536
_FEWER: Final = 10_240
"""What macOS takes at most, though it names no limit."""


def raise_limit() -> None:
    """Raises the limit that this process has set for itself; where it cannot be, it stays."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in (_ENOUGH, _FEWER):
        if hard != resource.RLIM_INFINITY:
            wanted = min(wanted, hard)
        if soft == resource.RLIM_INFINITY or wanted <= soft:
            return
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            return
