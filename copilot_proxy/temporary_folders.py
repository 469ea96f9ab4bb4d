"""Temporary folders that are always removed, if necessary by the next process.

The process that uses such a folder keeps a file in it locked. The system unlocks the file when the
process exits for any reason. A program that inherits the open file also keeps the folder until that
program exits.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

_PREFIX: Final = "copilot-proxy-"
_LOCK: Final = ".in-use"


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Yield a new folder that only this user can read; at the end, remove it if possible."""
    _remove_abandoned()
    with tempfile.TemporaryDirectory(prefix=_PREFIX, ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with _held(folder):
            yield folder


if sys.platform == "win32":

    @contextmanager
    def _held(folder: Path) -> Iterator[None]:
        yield

    def _remove_abandoned() -> None:
        """Do nothing: Windows cannot rename an open file, so new folders would look abandoned."""

else:
    import fcntl

    @contextmanager
    def _held(folder: Path) -> Iterator[None]:
        """Mark `folder` as owned while the block runs."""
        draft = folder / f"{_LOCK}.new"
        descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with suppress(OSError):  # without locks, no process considers the folder abandoned
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                # Renamed only now, so that other processes never find the file without its lock.
                draft.rename(folder / _LOCK)
                os.set_inheritable(descriptor, True)
            yield
        finally:
            os.close(descriptor)

    def _remove_abandoned() -> None:
        """Remove this user's folders whose owners have exited."""
        with suppress(OSError), os.scandir(tempfile.gettempdir()) as entries:
            for entry in entries:
                if entry.name.startswith(_PREFIX):
                    with suppress(OSError):
                        _remove_if_abandoned(entry)

    def _remove_if_abandoned(folder: "os.DirEntry[str]") -> None:
        """Remove `folder` if it is this user's. Raises `OSError` if it has no lock file, or is in
        use."""
        is_own = folder.stat(follow_symlinks=False).st_uid == os.geteuid()
        if not is_own or not folder.is_dir(follow_symlinks=False):
            return
        descriptor = os.open(Path(folder.path, _LOCK), os.O_RDWR | os.O_NOFOLLOW)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder.path)
        finally:
            os.close(descriptor)
