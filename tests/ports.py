"""Ports for servers that tests start as programs."""

import errno
import secrets
import socket
from typing import Final

_PORTS: Final = range(10_000, 16_000)
"""Ports that systems do not choose for port 0 or for clients.

Nothing else takes such a port between a test's search and the moment when the program listens.
"""


def free_port(host: str = "127.0.0.1") -> int:
    """Return an unused port on loopback.

    Raises OSError if this machine does not have the address `host`.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    while True:
        port = secrets.choice(_PORTS)
        with socket.socket(family) as probe:
            try:
                probe.bind((host, port))
            except OSError as error:
                if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                    raise
            else:
                return port
