"""Takes over a listening socket that systemd has opened (socket activation).

systemd passes sockets as file descriptors from 3 on, with their count in ``LISTEN_FDS`` and the
receiving process's id in ``LISTEN_PID``; see sd_listen_fds(3).
"""

import os
import socket
import sys
from dataclasses import replace
from pathlib import Path
from typing import Final

from copilot_proxy.errors import UsageError
from copilot_proxy.server.listen_socket import check_keys
from copilot_proxy.settings import Settings

_FIRST: Final = 3
_VARIABLES: Final = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")


def activated(settings: Settings) -> tuple[Settings, socket.socket | None]:
    """Return the settings with the address of systemd's socket, and the socket itself.

    If there is no such socket, return `settings` and None. Raises `UsageError` if the socket cannot
    be used.
    """
    values = [os.environ.get(name) for name in _VARIABLES]
    if sys.platform == "win32" or values[0] != str(os.getpid()):
        return settings, None
    for name in _VARIABLES:
        os.environ.pop(name, None)  # hide them from programs that this one starts
    if values[1] != "1":
        raise UsageError(
            f"systemd has passed {values[1] or 'no'} sockets, but the server needs exactly one.",
            hint="Use one ListenStream= in the socket unit.",
        )
    listener = socket.socket(fileno=_FIRST)
    listener.set_inheritable(False)
    if listener.type != socket.SOCK_STREAM:
        raise UsageError(
            "The socket from systemd is not a stream socket.", hint="Use ListenStream=."
        )
    if listener.family == socket.AF_UNIX:
        settings = replace(settings, uds=Path(os.fsdecode(listener.getsockname())))
    else:
        host, port = listener.getsockname()[:2]
        settings = replace(settings, uds=None, host=host, port=port)
    check_keys(settings)
    return settings, listener
