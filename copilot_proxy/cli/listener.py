"""The socket that the server listens on, and who holds the port when it is taken."""

import errno
import http.client
import json
import os
import socket
import sys
from pathlib import Path
from typing import Final

from copilot_proxy.errors import CopilotProxyError, UsageError
from copilot_proxy.setting_values import is_loopback
from copilot_proxy.settings import Settings

_PATIENCE: Final = 0.3
"""Seconds that whoever holds the port has to say who it is."""
_BACKLOG: Final = 2048
_MAKE_KEY: Final = "import secrets; print(secrets.token_urlsafe(24))"


def bind(settings: Settings) -> socket.socket:
    """A socket bound to the host and port of the settings; nobody is let in before it listens.

    Raises `UsageError` for a host that cannot be, or must not be without a key.
    """
    if not is_loopback(settings.host) and not settings.api_key:
        raise UsageError(
            f"Without a key, everyone who reaches {settings.host} could use your Copilot.",
            hint=f"Make a key, and give it to your clients:\n  {_make_key()}",
        )
    family, address = _resolve(settings.host, settings.port)
    # asyncio turns Nagle's algorithm off only for sockets that name their protocol; with it, an
    # answer in two writes takes 40 ms longer.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if sys.platform == "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6 and settings.host.strip("[]") == "::":
            # "All addresses" means those of IPv4 as well.
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise _failed(error, settings) from error
    return listener


def listen(listener: socket.socket, settings: Settings) -> None:
    """Lets clients in. Another program may have been faster since `bind`."""
    try:
        listener.listen(_BACKLOG)
    except OSError as error:
        raise _failed(error, settings) from error


def address_of(listener: socket.socket, settings: Settings) -> str:
    """Where clients on this machine find the server that `listener` is bound for."""
    return base_url(settings.host, listener.getsockname()[1])


def base_url(host: str, port: int) -> str:
    """Where clients on this machine find a server that listens on `host`."""
    host = host.strip("[]")
    if host in ("0.0.0.0", ""):  # noqa: S104  # it is read here, not listened on
        host = "127.0.0.1"
    elif host == "::":
        host = "::1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _make_key() -> str:
    if sys.platform == "win32":
        return f'$env:COPILOT_PROXY_API_KEY = python -c "{_MAKE_KEY}"; $env:COPILOT_PROXY_API_KEY'
    return f"export COPILOT_PROXY_API_KEY=$(python3 -c '{_MAKE_KEY}'); echo $COPILOT_PROXY_API_KEY"


def _resolve(host: str, port: int) -> tuple[int, tuple[object, ...]]:
    try:
        found = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError) as error:
        raise UsageError(
            f"The host {host!r} is not known.", hint="Use an address, such as 127.0.0.1."
        ) from error
    # A name such as localhost often means both; clients try IPv4 where IPv6 fails.
    found.sort(key=lambda entry: entry[0] != socket.AF_INET)
    family, _, _, _, address = found[0]
    return family, address


def _failed(error: OSError, settings: Settings) -> CopilotProxyError:
    host, port = settings.host, settings.port
    if error.errno == errno.EADDRINUSE:
        other = port + 1 if port < 65535 else 8000
        return CopilotProxyError(
            f"Port {port} is taken by {_holder(host, port)}.",
            hint=f"Use --port {other}, or stop it.",
        )
    if error.errno == errno.EACCES:
        return CopilotProxyError(
            f"Port {port} may not be used without more rights on this machine.",
            hint="Use a port above 1023, such as --port 8000.",
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return UsageError(
            f"The address {host} does not belong to this machine.",
            hint="Use --host 127.0.0.1 for this machine alone, 0.0.0.0 for the network.",
        )
    return CopilotProxyError(f"Listening on {host}, port {port}, failed: {error.strerror}.")


def _holder(host: str, port: int) -> str:
    """Who listens on `port`, in words."""
    if _is_copilot_proxy(host, port):
        return "another copilot-proxy"
    process = _process_on(port) if sys.platform == "linux" else None
    return process or "another program"


def _is_copilot_proxy(host: str, port: int) -> bool:
    name = base_url(host, port).removeprefix("http://").rpartition(":")[0].strip("[]")
    if not is_loopback(name):
        return False
    asked = http.client.HTTPConnection(name, port, timeout=_PATIENCE)
    try:
        asked.request("GET", "/health")
        told = json.loads(asked.getresponse().read(10_000))
    except (OSError, ValueError, http.client.HTTPException):
        return False
    finally:
        asked.close()
    return isinstance(told, dict) and {"status", "version", "simulated"} <= told.keys()


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
