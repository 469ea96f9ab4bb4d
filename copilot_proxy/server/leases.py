"""Leases: files that mark a server as in use while their holders run.

A lease is a locked file in a folder. The operating system unlocks it when its holder exits for any
reason, so no lease outlives its holder.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from uuid import uuid4

from copilot_proxy.file_locks import locked

_SUFFIX: Final = ".lease"
_START: Final = "start.lock"


@contextmanager
def hold_lease(folder: Path) -> Iterator[None]:
    """Hold a lease in `folder` while the block runs. `start_lock` must be held on entry."""
    path = folder / f"{uuid4()}{_SUFFIX}"
    with locked(path):
        try:
            yield
        finally:
            with suppress(OSError):  # Windows cannot remove an open file; the server does it later
                path.unlink()


@contextmanager
def start_lock(folder: Path) -> Iterator[None]:
    """Prevent other processes from starting or stopping the server while the block runs."""
    with locked(folder / _START):
        yield


def wait_until_unused(folder: Path) -> None:
    """Wait until no client holds a lease, and remove the leases of killed processes."""
    while True:
        with start_lock(folder):  # otherwise, a new file might not be locked yet
            paths = _leases(folder)
        if not paths:
            return
        with suppress(FileNotFoundError), locked(paths[0], flags=0):
            pass
        with suppress(OSError):
            paths[0].unlink()


def is_used(folder: Path) -> bool:
    """Return whether there are leases, including any that have just been released."""
    return bool(_leases(folder))


def _leases(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*{_SUFFIX}"))
