"""Opens files that only their owner can read, and refuses files that another user created."""

import errno
import os
import secrets
import shlex
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

_POSIX: Final = os.name == "posix"
_FLAGS: Final = (
    getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)  # opening a named pipe must not block
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)
_DISK_ERRORS: Final = (errno.ENOSPC, errno.EIO, getattr(errno, "EDQUOT", errno.ENOSPC))
READ: Final = os.O_RDONLY
NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL
APPEND: Final = os.O_WRONLY | os.O_CREAT | os.O_APPEND
UPDATE: Final = os.O_RDWR | os.O_CREAT


DISK_HINT: Final = "Check that its disk works and has free space."


class UnsafeFileError(OSError):
    """The file must not be used.

    `reason`, such as "is a symbolic link", completes a sentence that starts with the path.
    """

    def __init__(self, reason: str, hint: str | None = None, path: Path | None = None) -> None:
        super().__init__(reason)
        self.path = path
        self.reason = reason
        self.hint = hint


def failure_reason(error: OSError) -> str:
    """Return the reason for a message such as "PATH cannot be read: REASON."."""
    if isinstance(error, UnsafeFileError):
        return f"it {error.reason}"
    return error.strerror or type(error).__name__


def write_hint(error: OSError) -> str:
    """Return what to do if a file in one of this program's folders cannot be written."""
    if error.errno in _DISK_ERRORS:
        return DISK_HINT
    return "Make its folder writable, or choose another one with COPILOT_PROXY_HOME_DIR."


def open_private(path: Path, mode: int) -> int:
    """Open a regular file that belongs to this user or root, and return its descriptor.

    `mode` is `READ`, `NEW` (the file must not exist), `APPEND` or `UPDATE`. New files are created
    with mode 0600, and existing files that others can read are changed to 0600. Symbolic links are
    not followed, and files with more than one hard link are not opened for appending. Raises
    `UnsafeFileError` or another `OSError`.
    """
    if path.is_symlink():
        raise UnsafeFileError("is a symbolic link, which is not followed", path=path)
    descriptor = os.open(path, mode | _FLAGS, 0o600)
    try:
        _check(path, os.fstat(descriptor), descriptor, mode)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def ensure_private(path: Path) -> None:
    """Create an empty private file, or make an existing one private without opening it.

    Closing a file would release all locks that this process has on it, even those of other code,
    such as SQLite. Raises `UnsafeFileError` or another `OSError`.
    """
    try:
        os.close(open_private(path, NEW))
    except FileExistsError:
        status = path.lstat()
        _check(path, status, path, APPEND)


def check_regular(path: Path) -> bool:
    """Return whether there is a file. Raises `UnsafeFileError` if it is not a regular file, like
    `open_private`, or another `OSError`."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return False
    if stat.S_ISLNK(mode):
        raise UnsafeFileError("is a symbolic link, which is not followed", path=path)
    if not stat.S_ISREG(mode):
        raise UnsafeFileError("is not a regular file", path=path)
    return True


def replace_private(path: Path, content: bytes) -> None:
    """Write a private file atomically: other processes see either the old or the new content.

    Its folder is created if it does not exist. Raises `UnsafeFileError` or another `OSError`.
    """
    make_folder(path.parent)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with open(open_private(draft, NEW), "wb") as file:
            file.write(content)
        os.replace(draft, path)
    except BaseException:
        with suppress(OSError):
            draft.unlink()
        raise


def make_folder(folder: Path) -> None:
    """Create `folder` and its missing parents with mode 0700.

    Raises `OSError`, specifically `UnsafeFileError` if the folder is another user's symbolic link.
    """
    if not folder.is_dir():
        if folder.parent != folder:
            make_folder(folder.parent)
        try:
            folder.mkdir(mode=0o700)
            if _POSIX and folder.lstat().st_mode & 0o700 != 0o700:
                folder.chmod(0o700)  # the umask may have removed even the owner's permissions
        except FileExistsError:
            if not folder.is_dir():
                raise
    if _POSIX and folder.is_symlink() and not _is_ours(folder.lstat()):
        raise UnsafeFileError("is in a folder that is another user's symbolic link")


def is_open_to_others(folder: Path) -> bool:
    """Return whether another user owns `folder` or has any access to it."""
    status = folder.stat()
    return _POSIX and (bool(status.st_mode & 0o077) or not _is_ours(status))


def privacy_hint(folder: Path) -> str:
    """Return how to make `folder` private, or which folder to use instead.

    Other users can access `folder`. Changing the mode of a shared folder, or of one that has
    another purpose, would lock out other users or programs, so that is suggested only for an empty
    folder that belongs to this user.
    """
    if _is_spare(folder):
        return f"Run: chmod 700 {shlex.quote(str(folder))}"
    return f"Use a subfolder such as {folder / 'dumps'}; it is created if it does not exist."


def _is_spare(folder: Path) -> bool:
    """Return whether `folder` is this user's, empty, not sticky, and not the home folder."""
    try:
        status = folder.stat()
        is_used = any(folder.iterdir()) or (Path.home().is_dir() and folder.samefile(Path.home()))
    except (OSError, RuntimeError):  # there may be no home folder
        return False
    return (
        _POSIX and status.st_uid == os.geteuid() and not (is_used or status.st_mode & stat.S_ISVTX)
    )


def _check(path: Path, status: os.stat_result, file: int | Path, mode: int) -> None:
    """Make the file private. Raises `UnsafeFileError` if other users may still access it."""
    if not stat.S_ISREG(status.st_mode):
        raise UnsafeFileError("is not a regular file", path=path)
    if not _POSIX:
        return
    if not _is_ours(status):
        raise UnsafeFileError("belongs to another user", path=path)
    if mode & os.O_APPEND and status.st_nlink > 1:
        raise UnsafeFileError("has a hard link, through which other users may read it", path=path)
    if status.st_mode & 0o077:
        try:
            os.chmod(file, 0o600)
        except OSError:
            raise UnsafeFileError(
                "can be read by other users, and its mode cannot be changed",
                f"Run: chmod 600 {shlex.quote(str(path))}",
                path,
            ) from None


def _is_ours(status: os.stat_result) -> bool:
    user = os.geteuid()
    return user == 0 or status.st_uid in (user, 0)
