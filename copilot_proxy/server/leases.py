"""Leases: files that show that a server is in use, for as long as their holder runs.

A lease is a locked file in a folder. The operating system unlocks it when its holder ends, however
that happens, so no lease outlives its holder.
"""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final
from uuid import uuid4

_SUFFIX: Final = ".lease"
_START: Final = "start.lock"
_RETRY: Final = 0.1


@contextmanager
def hold_lease(folder: Path) -> Iterator[None]:
    """Hold a lease in `folder` while the block runs; enter it under `start_lock`."""
    path = folder / f"{uuid4()}{_SUFFIX}"
    with _locked(path):
        try:
            yield
        finally:
            with suppress(OSError):  # Windows cannot remove an open file; then the server does
                path.unlink()


@contextmanager
def start_lock(folder: Path) -> Iterator[None]:
    """Let no other process start or stop the server while the block runs; waits if one does."""
    with _locked(folder / _START):
        yield


def wait_until_unused(folder: Path) -> None:
    """Wait until no client holds a lease, and remove those of processes that were killed."""
    while True:
        with start_lock(folder):  # otherwise, a new file may not be locked yet
            paths = _leases(folder)
        if not paths:
            return
        with suppress(FileNotFoundError), _locked(paths[0], flags=0):
            pass
        with suppress(OSError):
            paths[0].unlink()


def is_used(folder: Path) -> bool:
    """Return whether a client holds, or has just held, a lease."""
    return bool(_leases(folder))


def _leases(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*{_SUFFIX}"))


@contextmanager
def _locked(path: Path, flags: int = os.O_CREAT) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | flags, 0o600)
    with os.fdopen(descriptor, "r+b") as file:
        _lock(file)
        yield


def _lock(file: IO[bytes]) -> None:
    """Lock `file` until it is closed; waits for others."""
    if sys.platform == "win32":
        import msvcrt

        while True:
            try:
                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            except OSError:
                time.sleep(_RETRY)
            else:
                return
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX)
