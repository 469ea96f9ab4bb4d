"""Locks between processes; a lock ends with its holder, even if that is killed."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

_RETRY: Final = 0.1
"""Seconds between two attempts on Windows, where waiting for a lock gives up after a while."""


@contextmanager
def locked(path: Path, flags: int = os.O_CREAT) -> Iterator[None]:
    """Hold the lock of the file `path` while the block runs, after waiting for other holders.

    The file is created, unless `flags` is 0, and stays: another process may already wait for it.
    Raises `OSError` if it cannot be opened or locked.
    """
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
