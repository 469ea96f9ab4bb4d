"""The socket that the server listens on: a port, or a file."""

import errno
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from copilot_proxy.errors import CopilotProxyError, UsageError
from copilot_proxy.keys import MIN_KEY_LENGTH
from copilot_proxy.server import unix_socket
from copilot_proxy.server.port_owner import base_url, holder_of
from copilot_proxy.settings import Settings

_BACKLOG: Final = 2048
_MAKE_KEY: Final = "import secrets; print(secrets.token_urlsafe(24))"


@contextmanager
def bound(settings: Settings) -> Iterator[socket.socket]:
    """The socket that the settings want, for as long as the block runs.

    Raises `UsageError` for a place that cannot be, or must not be without a key, and
    `CopilotProxyError` if somebody listens there already.
    """
    if settings.uds is not None:
        with unix_socket.bound(settings.uds) as listener:
            yield listener
        return
    with bind(settings) as listener:
        yield listener


def bind(settings: Settings) -> socket.socket:
    """A socket bound to the host and port of the settings; nobody is let in before it listens."""
    if settings.reaches_network:
        _check_keys(settings)
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
    if settings.uds is not None:
        return "http://localhost"  # any name would do; this one passes the door
    return base_url(settings.host, listener.getsockname()[1])


def _check_keys(settings: Settings) -> None:
    """Raises `UsageError` if strangers would be let in, or could guess their way."""
    hint = f"Make a key, and give it to your clients:\n  {_make_key()}"
    if not settings.keys:
        raise UsageError(
            f"Without a key, everyone who reaches {settings.host} could use your Copilot.",
            hint=hint,
        )
    if any(len(one.key.reveal()) < MIN_KEY_LENGTH for one in settings.keys):
        raise UsageError(
            f"The key has fewer than {MIN_KEY_LENGTH} characters: whoever reaches "
            f"{settings.host} could guess it and use your Copilot.",
            hint=hint,
        )


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
            f"Port {port} is taken by {holder_of(host, port)}.",
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
