"""Checks that a URL points to the public internet, to prevent server-side request forgery.

URLs in requests must not reach this machine, its local network, or a cloud's metadata service.
"""

import asyncio
import ipaddress
import socket
from typing import Final

import httpx

_PRIVATE_NAMES: Final = (".localhost", ".local", ".internal", ".home.arpa")
_IPV6: Final = ipaddress.IPv6Network("2000::/3")
"""All global unicast addresses. This excludes IPv4-mapped addresses, but not 6to4 and Teredo."""
_SPECIAL: Final = tuple(
    map(
        ipaddress.ip_network,
        ("192.0.0.0/24", "192.88.99.0/24", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"),
    )
)
"""Special networks that `ipaddress` treats as global in some versions of Python."""


def fetchable_host(url: httpx.URL) -> str | None:
    """Return the host of `url`, or None if the URL must not be fetched.

    `url` must be an https URL on port 443 without user information. Its host must be an IPv6
    address, or a name or IPv4 address that contains a dot and is not local.
    """
    host = url.raw_host.decode("ascii").rstrip(".").lower()
    if url.scheme != "https" or url.port is not None or url.userinfo or "%" in host:
        return None
    is_full = "." in host and not host.endswith(_PRIVATE_NAMES)
    return host if is_full or ":" in host else None


def is_public(address: str) -> bool:
    """Return whether `address` is a public unicast IP address."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address) and (ip.scope_id or ip not in _IPV6):
        return False
    special = ip.is_multicast or ip.is_reserved or any(ip in network for network in _SPECIAL)
    return ip.is_global and not special


async def look_up(host: str) -> list[str]:
    """Resolve `host` with the system's resolver. Raises `OSError` or `ValueError`."""
    results = await asyncio.get_running_loop().getaddrinfo(host, 443, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in results]
