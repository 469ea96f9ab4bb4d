"""Opens files that only their owner may read, and that nobody else can have put there."""

import os
import stat
from pathlib import Path
from typing import Final

_POSIX: Final = os.name == "posix"
_FLAGS: Final = (
    getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)  # a named pipe in the file's place must not hang
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)
READ: Final = os.O_RDONLY
NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL
APPEND: Final = os.O_WRONLY | os.O_CREAT | os.O_APPEND


class Unsafe(OSError):
    """What stands in the file's place is not to be used; `why` goes on after its name, and `hint`
    says what can be done."""

    def __init__(self, why: str, hint: str | None = None) -> None:
        super().__init__(why)
        self.why = why
        self.hint = hint


def why(error: OSError) -> str:
    """What is wrong, for a sentence that ends with it."""
    if isinstance(error, Unsafe):
        return f"it {error.why}"
    return error.strerror or type(error).__name__


def open_private(path: Path, how: int) -> int:
    """A descriptor of a regular file of our own (or root's), mode 0600 from its first byte.

    `how` is `READ`, `NEW` (it must not be there yet) or `APPEND`. Symbolic links are not followed;
    a file that others may read is closed to them; one that has a second name is not appended to.
    Raises `Unsafe`, or another `OSError`.
    """
    if path.is_symlink():
        raise Unsafe("is a symbolic link, which is not followed")
    descriptor = os.open(path, how | _FLAGS, 0o600)
    try:
        _check(path, os.fstat(descriptor), descriptor, how)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def make_folder(folder: Path) -> None:
    """`folder`, and those above it, each made with mode 0700 where it is missing.

    Raises `Unsafe` if it is another user's symbolic link, or another `OSError`.
    """
    if not folder.is_dir():
        if folder.parent != folder:
            make_folder(folder.parent)
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            if not folder.is_dir():
                raise
    if _POSIX and folder.is_symlink() and not _is_ours(folder.lstat()):
        raise Unsafe("is in a folder that is another user's symbolic link")


def is_open_to_others(folder: Path) -> bool:
    """Whether other users may look into `folder`, or put something there."""
    status = folder.stat()
    return _POSIX and (bool(status.st_mode & 0o077) or not _is_ours(status))


def _check(path: Path, status: os.stat_result, descriptor: int, how: int) -> None:
    """Whether nobody else can have read or written the open file; repairs its mode."""
    if not stat.S_ISREG(status.st_mode):
        raise Unsafe("is not a file")
    if not _POSIX:
        return
    if not _is_ours(status):
        raise Unsafe("belongs to another user")
    if how & os.O_APPEND and status.st_nlink > 1:
        raise Unsafe("has a second name (a hard link), under which others may read it")
    if status.st_mode & 0o077:
        try:
            os.fchmod(descriptor, 0o600)
        except OSError:
            raise Unsafe(
                "can be read by other users, and that cannot be changed", f"Run: chmod 600 {path}"
            ) from None


def _is_ours(status: os.stat_result) -> bool:
    me = os.geteuid()
    return me == 0 or status.st_uid in (me, 0)
