"""Binds the socket that the server listens on: a TCP port or a Unix socket."""

import errno
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from copilot_proxy.api_keys import MIN_KEY_LENGTH
from copilot_proxy.errors import CopilotProxyError, UsageError
from copilot_proxy.server import unix_socket
from copilot_proxy.server.port_owner import base_url, describe_owner
from copilot_proxy.settings import Settings

_BACKLOG: Final = 2048
_MAKE_KEY: Final = "import secrets; print(secrets.token_urlsafe(24))"


@contextmanager
def bound(settings: Settings) -> Iterator[socket.socket]:
    """Bind the socket named in the settings, and close it when the block ends.

    Raises `UsageError` if the address cannot be used, or may not be used without a key, and
    `CopilotProxyError` if another program is already listening there.
    """
    if settings.uds is not None:
        with unix_socket.bound(settings.uds) as listener:
            yield listener
        return
    with bind(settings) as listener:
        yield listener


def bind(settings: Settings) -> socket.socket:
    """Return a socket that is bound to the host and port in the settings, but not listening yet."""
    check_keys(settings)
    family, address = _resolve(settings.host, settings.port)
    # asyncio turns off Nagle's algorithm only for sockets created with a protocol number. With the
    # algorithm on, a response in two writes takes 40 ms longer.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if sys.platform == "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6 and settings.host.strip("[]") == "::":
            # "All addresses" should include IPv4 addresses.
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise _failed(error, settings) from error
    return listener


def listen(listener: socket.socket, settings: Settings) -> None:
    """Start accepting connections.

    Raises `CopilotProxyError`: another program may have taken the port since `bind`.
    """
    try:
        listener.listen(_BACKLOG)
    except OSError as error:
        raise _failed(error, settings) from error


def server_url(listener: socket.socket, settings: Settings) -> str:
    """Return the URL, without ``/v1``, at which clients on this machine reach `listener`."""
    if settings.uds is not None:
        return "http://localhost"  # a name that the Host check accepts
    return base_url(settings.host, listener.getsockname()[1])


def check_keys(settings: Settings) -> None:
    """Raise `UsageError` if the server is open to the network without a key or with a weak one."""
    if not settings.reaches_network:
        return
    hint = f"Create a key and give it to your clients:\n  {_make_key_command()}"
    if not settings.keys:
        raise UsageError(
            f"Without an API key, anyone who can reach {settings.host} could use your Copilot "
            "subscription.",
            hint=hint,
        )
    if any(len(one.key.reveal()) < MIN_KEY_LENGTH for one in settings.keys):
        raise UsageError(
            f"The API key has fewer than {MIN_KEY_LENGTH} characters: anyone who can reach "
            f"{settings.host} could guess it and use your Copilot subscription.",
            hint=hint,
        )


def _make_key_command() -> str:
    if sys.platform == "win32":
        return f'$env:COPILOT_PROXY_API_KEY = python -c "{_MAKE_KEY}"; $env:COPILOT_PROXY_API_KEY'
    return f"export COPILOT_PROXY_API_KEY=$(python3 -c '{_MAKE_KEY}'); echo $COPILOT_PROXY_API_KEY"


def _resolve(host: str, port: int) -> tuple[int, tuple[object, ...]]:
    try:
        addresses = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError) as error:
        raise UsageError(
            f"The host {host!r} cannot be resolved.", hint="Use an address, such as 127.0.0.1."
        ) from error
    # Names such as localhost often resolve to both IPv4 and IPv6; clients try both.
    addresses.sort(key=lambda entry: entry[0] != socket.AF_INET)
    family, _, _, _, address = addresses[0]
    return family, address


def _failed(error: OSError, settings: Settings) -> CopilotProxyError:
    host, port = settings.host, settings.port
    if error.errno == errno.EADDRINUSE:
        other = port + 1 if port < 65535 else 8000
        return CopilotProxyError(
            f"Port {port} is in use by {describe_owner(host, port)}.",
            hint=f"Use --port {other} or COPILOT_PROXY_PORT={other}, or stop that program.",
        )
    if error.errno == errno.EACCES:
        return CopilotProxyError(
            f"Port {port} needs more privileges than this user has.",
            hint="Use a port above 1023, such as --port 8000.",
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return UsageError(
            f"The address {host} does not belong to this machine.",
            hint="Use --host 127.0.0.1 for this machine only, or 0.0.0.0 for the network.",
        )
    return CopilotProxyError(f"Cannot listen on {host}, port {port}: {error.strerror}.")
