"""Locks between processes, which are released even if the holder is killed."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

_RETRY: Final = 0.1
"""Seconds between attempts on Windows, where waiting for a lock would time out."""
_LOCKED_BYTE: Final = 2**30
"""The byte that Windows locks in an open file: past its end, since locked bytes are unreadable."""


@contextmanager
def locked(path: Path, flags: int = os.O_CREAT) -> Iterator[None]:
    """Wait for the lock of the file `path`, and hold it while the block runs.

    The file is created unless `flags` is 0. It is not removed, because another process may already
    be waiting for it. Raises `OSError` if it cannot be opened or locked.
    """
    descriptor = os.open(path, os.O_RDWR | flags, 0o600)
    with os.fdopen(descriptor, "r+b") as file:
        _lock(file)
        yield


if sys.platform == "win32":
    import msvcrt

    def try_lock(descriptor: int) -> bool:
        """Lock an open file and return True, or return False if it is already locked. The lock ends
        with `unlock` or with the process.

        If a file is opened twice, its two descriptors are separate holders, even within one
        process. Raises `OSError`.
        """
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True

    def unlock(descriptor: int) -> None:
        """Release a lock from `try_lock`."""
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

    def _lock(file: IO[bytes]) -> None:
        """Wait for other holders, and lock `file` until it is closed."""
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
        """Lock an open file and return True, or return False if it is already locked. The lock ends
        with `unlock` or with the process.

        If a file is opened twice, its two descriptors are separate holders, even within one
        process. Raises `OSError`.
        """
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def unlock(descriptor: int) -> None:
        """Release a lock from `try_lock`."""
        fcntl.flock(descriptor, fcntl.LOCK_UN)

    def _lock(file: IO[bytes]) -> None:
        """Wait for other holders, and lock `file` until it is closed."""
        fcntl.flock(file, fcntl.LOCK_EX)
