"""Binds a Unix socket to listen on: a file that only its owner can connect to.

The file exists while the server runs. A stale socket left behind by a killed server is replaced. A
socket that another program is listening on, or any other file, is left alone.
"""

import errno
import http.client
import os
import socket
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from copilot_proxy.errors import CopilotProxyError, UsageError
from copilot_proxy.server.port_owner import is_copilot_proxy

_MAX_PATH_LENGTH: Final = 103 if sys.platform == "darwin" else 107
"""Maximum length in bytes of a socket's path."""
_TIMEOUT: Final = 1.0
"""Seconds for a program listening at the path to accept a connection and answer."""
_BACKLOG: Final = 2048
_UMASK: Final = 0o177
"""The umask that gives the file mode 0600."""


@contextmanager
def bound(path: Path) -> Iterator[socket.socket]:
    """Listen at `path`, and remove the file when the block ends if it is still the same file.

    Unlike a port, the socket listens immediately: if it were only bound, it would look stale.
    Raises `UsageError` if the path cannot be used, and `CopilotProxyError` if another program is
    listening there.
    """
    _check(path)
    _remove_stale_socket(path)
    with socket.socket(socket.AF_UNIX) as listener:
        _bind(listener, path)
        ours = _identity(path)
        try:
            listener.listen(_BACKLOG)
            yield listener
        finally:
            if _identity(path) == ours:
                with suppress(OSError):
                    path.unlink()


def _check(path: Path) -> None:
    if sys.platform == "win32":
        raise UsageError("Unix sockets need Linux or macOS.", hint="Use --host and --port instead.")
    length = len(os.fsencode(path))
    if length > _MAX_PATH_LENGTH:
        raise UsageError(
            f"The socket path has {length} bytes; the system allows at most {_MAX_PATH_LENGTH}.",
            hint="Use a shorter path, or a path relative to the current folder.",
        )


def _remove_stale_socket(path: Path) -> None:
    """Remove the socket at `path` if no program is listening on it anymore."""
    try:
        mode = path.lstat().st_mode
    except OSError:
        return  # the path is free; any other problem is reported when the socket is bound
    if not stat.S_ISSOCK(mode):
        raise UsageError(
            f"{path} exists and is not a socket.", hint="Use a path that does not exist yet."
        )
    if _is_stale(path):
        with suppress(OSError):
            path.unlink()
        return
    owner = "copilot-proxy" if is_copilot_proxy(UnixConnection(path)) else "program"
    raise CopilotProxyError(
        f"Another {owner} is already listening at {path}.",
        hint="Use another path, or stop that program.",
    )


def _is_stale(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(_TIMEOUT)
        # Any other result, such as a full queue, means that a program is listening.
        return probe.connect_ex(str(path)) == errno.ECONNREFUSED


def _bind(listener: socket.socket, path: Path) -> None:
    before = os.umask(_UMASK)
    try:
        listener.bind(str(path))
    except OSError as error:
        raise _failed(error, path) from error
    finally:
        os.umask(before)


def _failed(error: OSError, path: Path) -> CopilotProxyError:
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return UsageError(
            f"The socket's folder, {path.parent}, does not exist.",
            hint=f"Create it first (mkdir -p {path.parent}), or use another path.",
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return UsageError(
            f"You may not create a socket in {path.parent}.", hint="Use a folder that you own."
        )
    return CopilotProxyError(f"Cannot listen at {path}: {error.strerror}.")


def _identity(path: Path) -> tuple[int, ...] | None:
    """Return a value that distinguishes this file from a later one at the same path, or None if it
    no longer exists.

    The inode number is not enough, because it may be reused.
    """
    try:
        info = path.lstat()
    except OSError:
        return None
    return info.st_dev, info.st_ino, info.st_mtime_ns


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_TIMEOUT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))
