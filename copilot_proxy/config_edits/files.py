"""Reads configuration files, and atomically replaces those that may be replaced."""

import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

from copilot_proxy.config_edits.document import CannotEdit

_MAX_BYTES: Final = 10 * 1024 * 1024
_PRIVATE: Final = 0o600
"""The mode of new files, which may contain a key."""


def read_file(path: Path) -> bytes | None:
    """Return the content of `path`, or None if there is no such file.

    Raises `CannotEdit` if the file cannot be read or replaced. A read-only file, or a file in a
    read-only folder, is refused even if root runs this program, because something else manages the
    file.
    """
    try:
        target = _target(path)
        if target is None:
            return None
        status = target.stat()
        if not stat.S_ISREG(status.st_mode):
            raise CannotEdit("is not a regular file")
        if status.st_size > _MAX_BYTES:
            raise CannotEdit("is too large for a configuration file")
        if status.st_nlink > 1:
            raise CannotEdit("has a hard link, which replacing the file would break")
        if not status.st_mode & stat.S_IWUSR or not os.access(target, os.W_OK):
            raise CannotEdit("is read-only")
        return target.read_bytes()
    except OSError as error:
        raise CannotEdit(f"cannot be read: {error.strerror or type(error).__name__}") from None


def write_file(path: Path, content: bytes | None) -> list[Path]:
    """Write `content` to the file, or remove the file if `content` is None. Symbolic links are
    kept.

    Returns the folders that had to be created, innermost first. Raises `CannotEdit`.
    """
    made: list[Path] = []
    try:
        target = _target(path)
        if content is None:
            (target or path).unlink(missing_ok=True)
            return made
        for folder in _missing(path.parent):
            folder.mkdir(mode=0o700)
            if os.name == "posix" and folder.lstat().st_mode & 0o700 != 0o700:
                folder.chmod(0o700)  # the umask may have removed even the owner's permissions
            made.insert(0, folder)
        _replace(target or path, content)
    except OSError as error:
        remove_folders(made)
        raise CannotEdit(f"cannot be written: {error.strerror or type(error).__name__}") from None
    return made


def remove_folders(folders: list[Path]) -> None:
    """Remove the empty folders among `folders`, which must be listed innermost first."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


def _target(path: Path) -> Path | None:
    """Return `path` with any symbolic link followed, or None if there is no file.

    Raises `CannotEdit` for a broken link, or if no file can be written there.
    """
    found: Path | None = None
    if path.is_symlink():
        found = Path(os.path.realpath(path))
        if not found.exists():
            raise CannotEdit("is a symbolic link to a file that does not exist")
    elif path.exists():
        found = path
    folder = (found or path).parent
    while not folder.exists() and folder.parent != folder:
        folder = folder.parent
    mode = folder.stat().st_mode
    if not stat.S_ISDIR(mode):
        raise CannotEdit(f"cannot be created: {folder} is not a folder")
    if not mode & stat.S_IWUSR or not os.access(folder, os.W_OK | os.X_OK):
        raise CannotEdit("is in a read-only folder")
    return found


def _missing(folder: Path) -> list[Path]:
    """Return which of `folder` and its parents do not exist, outermost first."""
    missing: list[Path] = []
    while not folder.exists():
        missing.insert(0, folder)
        folder = folder.parent
    return missing


def _replace(target: Path, content: bytes) -> None:
    status = target.stat() if target.exists() else None
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if os.name == "posix":
            os.chmod(name, _PRIVATE if status is None else stat.S_IMODE(status.st_mode))
            if status is not None and status.st_uid != os.geteuid():
                os.chown(name, status.st_uid, status.st_gid)
        os.replace(name, target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
