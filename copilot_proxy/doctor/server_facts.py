"""Finds out which program listens at the address in the settings, without a request to Copilot."""

import http.client
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from copilot_proxy.server.port_owner import base_url, describe_owner, read_health
from copilot_proxy.server.unix_socket import UnixConnection
from copilot_proxy.settings import Settings

_TIMEOUT: Final = 3.0
_GUARDED_PATH: Final = "/metrics"
"""A path that requires the key, but causes no request to Copilot and no log line."""


@dataclass
class ServerFacts:
    """The facts about the program that listens at the server's address."""

    address: str
    """The URL without ``/v1``, or the path of the Unix socket."""
    is_running: bool = False
    """Whether anything is listening at `address`."""
    health: dict[str, Any] | None = None
    """The ``/health`` response of a copilot-proxy server, or None for another program."""
    owner: str = ""
    """Describes the program if it is not a copilot-proxy server."""
    refuses_key: bool = False
    """Whether the program requires a different API key than the one in the settings."""


def read_server(settings: Settings) -> ServerFacts:
    """Find out which program listens at the address in the settings."""
    if settings.uds is not None:
        facts = ServerFacts(str(settings.uds))
    else:
        facts = ServerFacts(base_url(settings.host, settings.port))
    connection = _connect(settings, facts)
    if connection is None:
        return facts
    facts.is_running = True
    facts.health = read_health(connection)
    if facts.health is None:
        if settings.uds is None:
            facts.owner = describe_owner(settings.host, settings.port)
        return facts
    facts.refuses_key = _refuses_key(settings, facts)
    return facts


def _connect(settings: Settings, facts: ServerFacts) -> http.client.HTTPConnection | None:
    """Return an open connection, or None if nothing is listening."""
    connection: http.client.HTTPConnection
    if settings.uds is not None:
        connection = UnixConnection(settings.uds)
    else:
        connection = http.client.HTTPConnection(urlsplit(facts.address).netloc, timeout=_TIMEOUT)
    try:
        connection.connect()
    except OSError:
        connection.close()
        return None
    return connection


def _refuses_key(settings: Settings, facts: ServerFacts) -> bool:
    connection = _connect(settings, facts)
    if connection is None:
        return False
    keys = settings.keys
    headers = {"authorization": f"Bearer {keys[0].key.reveal()}"} if keys else {}
    try:
        connection.request("GET", _GUARDED_PATH, headers=headers)
        return connection.getresponse().status == http.HTTPStatus.UNAUTHORIZED
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
