"""Waits until the service's server responds, or reports why it does not."""

import http.client
import time
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from copilot_proxy.errors import CopilotProxyError, NoCopilotAccess, NotSignedIn
from copilot_proxy.server.port_owner import base_url, read_health
from copilot_proxy.server.unix_socket import UnixConnection
from copilot_proxy.service.definition import ServiceError
from copilot_proxy.service.installation import Failure, read_failure
from copilot_proxy.settings import Settings

_TIMEOUT: Final = 60.0
"""Seconds to wait for the server; a keyring may have to be unlocked, and GitHub may be slow."""
_SIGN_IN_TIMEOUT: Final = 10.0
"""Seconds for GitHub to accept the token, once the server responds."""
_HEALTH_TIMEOUT: Final = 2.0
_POLL: Final = 0.1


def address_of(settings: Settings) -> str:
    """Return the URL of the server, or the path of its Unix socket."""
    return str(settings.uds) if settings.uds else base_url(settings.host, settings.port)


def health_of(settings: Settings, timeout: float = _HEALTH_TIMEOUT) -> dict[str, Any] | None:
    """Return the server's ``/health``, or None if no server responds.

    If systemd is listening at the address in the settings, this starts the server.
    """
    connection: http.client.HTTPConnection
    if settings.uds:
        connection = UnixConnection(settings.uds)
    else:
        netloc = urlsplit(address_of(settings)).netloc
        connection = http.client.HTTPConnection(netloc, timeout=timeout)
    return read_health(connection)


def wait_until_ready(settings: Settings, instance: str, folder: Path) -> dict[str, Any]:
    """Wait until the server with the id `instance` responds, and return its ``/health``.

    By then, the server has read the token. If GitHub has not accepted the token, ``signed_in`` is
    not ``yes``. If the server has exited, raises `CopilotProxyError` with the server's own error.
    """
    started = time.monotonic()
    answered: float | None = None
    while True:
        health = health_of(settings)
        if health is not None and health.get("instance") == instance:
            now = time.monotonic()
            answered = now if answered is None else answered
            if health["signed_in"] == "yes" or now - answered > _SIGN_IN_TIMEOUT:
                return health
        failure = read_failure(folder)
        if failure is not None and failure.instance == instance:
            raise error_of(failure)
        if time.monotonic() - started > _TIMEOUT and answered is None:
            raise ServiceError(
                f"The service was started, but did not respond at {address_of(settings)} within "
                f"{_TIMEOUT:.0f} s."
            )
        time.sleep(_POLL)


def error_of(failure: Failure) -> CopilotProxyError:
    """Return the error that the server printed."""
    message, _, hint = failure.text.partition("\n")
    message = message.removeprefix("Error: ") or f"The server exited with code {failure.code}."
    if failure.code == NotSignedIn.exit_code:
        return NotSignedIn(message, **({"hint": hint} if hint else {}))
    kind = NoCopilotAccess if failure.code == NoCopilotAccess.exit_code else ServiceError
    return kind(message, hint=hint or None)
