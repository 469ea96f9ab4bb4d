"""Finds out which program is listening on a port that is already in use."""

import http.client
import json
import os
import sys
from pathlib import Path
from typing import Any, Final

from copilot_proxy.host_names import is_loopback

_TIMEOUT: Final = 1.0
"""Seconds within which the other program must answer ``GET /health``."""


def base_url(host: str, port: int) -> str:
    """Return the URL at which clients on this machine reach a server that listens on `host`."""
    host = host.strip("[]")
    if host in ("0.0.0.0", ""):  # noqa: S104  # only compared, not bound
        host = "127.0.0.1"
    elif host == "::":
        host = "::1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def describe_owner(host: str, port: int) -> str:
    """Describe the program listening on `port`, such as ``nginx (process 123)``."""
    name = base_url(host, port).removeprefix("http://").rpartition(":")[0].strip("[]")
    if is_loopback(name):
        if is_copilot_proxy(http.client.HTTPConnection(name, port, timeout=_TIMEOUT)):
            return "another copilot-proxy"
        if _is_ollama(http.client.HTTPConnection(name, port, timeout=_TIMEOUT)):
            return "Ollama"
    process = _process_on(port) if sys.platform == "linux" else None
    return process or "another program"


def is_copilot_proxy(connection: http.client.HTTPConnection) -> bool:
    """Return whether a copilot-proxy server is at the other end, and close the connection."""
    return read_health(connection) is not None


def read_health(connection: http.client.HTTPConnection) -> dict[str, Any] | None:
    """Return the ``/health`` of a copilot-proxy server, or None if another program responds.

    Closes the connection.
    """
    try:
        connection.request("GET", "/health")
        health = json.loads(connection.getresponse().read(10_000))
    except (OSError, ValueError, RecursionError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    if isinstance(health, dict) and {"status", "version", "simulated"} <= health.keys():
        return health
    return None


def _is_ollama(connection: http.client.HTTPConnection) -> bool:
    """Return whether Ollama is at the other end, and close the connection."""
    try:
        connection.request("GET", "/")
        return connection.getresponse().read(100) == b"Ollama is running"
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _process_on(port: int) -> str | None:
    """Return the name and id of the process on `port`, or None if this user may not see it."""
    sockets = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    if not sockets:
        return None
    for process in Path("/proc").glob("[0-9]*"):
        try:
            for descriptor in (process / "fd").iterdir():
                if os.readlink(descriptor) in sockets:
                    name = (process / "comm").read_text().strip()
                    return f"{name} (process {process.name})"
        except OSError:
            continue  # it belongs to another user, or has just exited
    return None


def _listening_inodes(port: int) -> set[str]:
    inodes: set[str] = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            listens = fields[3] == "0A"
            if listens and int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(fields[9])
    return inodes
