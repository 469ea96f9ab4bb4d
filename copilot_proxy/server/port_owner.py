"""Who listens where this server wants to: asked over HTTP, or looked up in the system's tables."""

import http.client
import json
import os
import sys
from pathlib import Path
from typing import Final

from copilot_proxy.setting_values import is_loopback

_PATIENCE: Final = 0.3
"""Seconds that whoever is there has to say who it is."""


def base_url(host: str, port: int) -> str:
    """Where clients on this machine find a server that listens on `host`."""
    host = host.strip("[]")
    if host in ("0.0.0.0", ""):  # noqa: S104  # it is read here, not listened on
        host = "127.0.0.1"
    elif host == "::":
        host = "::1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def holder_of(host: str, port: int) -> str:
    """Who listens on `port`, in words."""
    if _is_ours(host, port):
        return "another copilot-proxy"
    process = _process_on(port) if sys.platform == "linux" else None
    return process or "another program"


def is_copilot_proxy(asked: http.client.HTTPConnection) -> bool:
    """Whether another server like this one is at the other end; closes the connection."""
    try:
        asked.request("GET", "/health")
        told = json.loads(asked.getresponse().read(10_000))
    except (OSError, ValueError, RecursionError, http.client.HTTPException):
        return False
    finally:
        asked.close()
    return isinstance(told, dict) and {"status", "version", "simulated"} <= told.keys()


def _is_ours(host: str, port: int) -> bool:
    name = base_url(host, port).removeprefix("http://").rpartition(":")[0].strip("[]")
    return is_loopback(name) and is_copilot_proxy(
        http.client.HTTPConnection(name, port, timeout=_PATIENCE)
    )


def _process_on(port: int) -> str | None:
    """Name and number of the process, as far as this user may see it."""
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
            continue  # another user's, or just ended
    return None


def _listening_inodes(port: int) -> set[str]:
    found: set[str] = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            listens = fields[3] == "0A"
            if listens and int(fields[1].rpartition(":")[2], 16) == port:
                found.add(fields[9])
    return found
