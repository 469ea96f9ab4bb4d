"""A Unix socket to listen on: a file that only its owner can connect to.

The file is there from the start to the end of the server. One that a killed server has left behind
is replaced; a socket that somebody answers on, and any other file, is left alone.
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

_LONGEST: Final = 103 if sys.platform == "darwin" else 107
"""Bytes of a path that the system has room for."""
_PATIENCE: Final = 1.0
"""Seconds that whoever listens has to take a connection."""
_BACKLOG: Final = 2048
_OWNER_ONLY: Final = 0o177
"""What the file's mode must not have: it is 0600."""


@contextmanager
def bound(path: Path) -> Iterator[socket.socket]:
    """A socket that listens at `path`; the file is removed in the end, if it is still this one.

    It listens at once, unlike a port: a socket without a listener looks like one left behind.
    Raises `UsageError` for a path that cannot be, `CopilotProxyError` if somebody listens there.
    """
    _check(path)
    _make_room(path)
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
        raise UsageError("Unix sockets need Linux or macOS.", hint="Use --host and --port here.")
    length = len(os.fsencode(path))
    if length > _LONGEST:
        raise UsageError(
            f"The path of the socket has {length} bytes; the system takes {_LONGEST} at most.",
            hint="Use a shorter one, or one that begins in the current folder.",
        )


def _make_room(path: Path) -> None:
    """Removes a socket that nobody listens on any more."""
    try:
        mode = path.lstat().st_mode
    except OSError:
        return  # nothing is there; what else may be wrong, binding will tell
    if not stat.S_ISSOCK(mode):
        raise UsageError(
            f"{path} is there already, and is no socket.", hint="Use a path where nothing is."
        )
    if _is_deserted(path):
        with suppress(OSError):
            path.unlink()
        return
    known = is_copilot_proxy(_Connection(path))
    raise CopilotProxyError(
        f"{'Another copilot-proxy' if known else 'Another program'} listens at {path}.",
        hint="Use another path, or stop it.",
    )


def _is_deserted(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(_PATIENCE)
        # Anything but a plain refusal, such as a full queue, means that somebody is there.
        return probe.connect_ex(str(path)) == errno.ECONNREFUSED


def _bind(listener: socket.socket, path: Path) -> None:
    before = os.umask(_OWNER_ONLY)
    try:
        listener.bind(str(path))
    except OSError as error:
        raise _failed(error, path) from error
    finally:
        os.umask(before)


def _failed(error: OSError, path: Path) -> CopilotProxyError:
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return UsageError(
            f"The folder of the socket, {path.parent}, does not exist.",
            hint=f"Make it first (mkdir -p {path.parent}), or use another path.",
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return UsageError(
            f"A socket may not be made in {path.parent}.", hint="Use a folder of your own."
        )
    return CopilotProxyError(f"Listening at {path} failed: {error.strerror}.")


def _identity(path: Path) -> tuple[int, ...] | None:
    """What tells the file from a later one of the same name; a number alone is given out again."""
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns


class _Connection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_PATIENCE)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))
