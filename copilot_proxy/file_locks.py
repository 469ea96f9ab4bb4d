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
_LOCKED_BYTE: Final = 2**30
"""Where Windows locks an open file: a byte beyond its end, since locked ones cannot be read."""


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


if sys.platform == "win32":
    import msvcrt

    def try_lock(descriptor: int) -> bool:
        """Lock an open file, unless it is locked; the lock ends with `unlock`, or with its process.

        A file that was opened twice has two holders, even in one process. Raises `OSError`.
        """
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True

    def unlock(descriptor: int) -> None:
        """End a lock of `try_lock`."""
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

    def _lock(file: IO[bytes]) -> None:
        """Lock `file` until it is closed; waits for others."""
        while True:
            try:
                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            except OSError:
                time.sleep(_RETRY)
            else:
                return

else:
    import fcntl

    def try_lock(descriptor: int) -> bool:
        """Lock an open file, unless it is locked; the lock ends with `unlock`, or with its process.

        A file that was opened twice has two holders, even in one process. Raises `OSError`.
        """
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def unlock(descriptor: int) -> None:
        """End a lock of `try_lock`."""
        fcntl.flock(descriptor, fcntl.LOCK_UN)

    def _lock(file: IO[bytes]) -> None:
        """Lock `file` until it is closed; waits for others."""
        fcntl.flock(file, fcntl.LOCK_EX)
