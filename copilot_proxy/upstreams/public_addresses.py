"""Which addresses a stranger may send this machine to: those of the public internet alone.

Whatever else it can reach, such as itself, its network or the metadata of a cloud, trusts it for
being where it is.
"""

import asyncio
import ipaddress
import socket
from typing import Final

import httpx

_PRIVATE_NAMES: Final = (".localhost", ".local", ".internal", ".home.arpa")
_IPV6: Final = ipaddress.IPv6Network("2000::/3")
"""All that is given out; what maps to IPv4 addresses lies outside, but for 6to4 and Teredo."""
_SPECIAL: Final = tuple(
    map(
        ipaddress.ip_network,
        ("192.0.0.0/24", "192.88.99.0/24", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"),
    )
)
"""What Python takes for public, at least in some of its versions."""


def host_of(url: httpx.URL) -> str | None:
    """The host in `url`, or None if that is not plain https, on its usual port, to a full name."""
    host = url.raw_host.decode("ascii").rstrip(".").lower()
    if url.scheme != "https" or url.port is not None or url.userinfo or "%" in host:
        return None
    is_full = "." in host and not host.endswith(_PRIVATE_NAMES)
    return host if is_full or ":" in host else None


def is_public(address: str) -> bool:
    """Whether `address` is one host's on the internet, as opposed to some network's own."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address) and (ip.scope_id or ip not in _IPV6):
        return False
    special = ip.is_multicast or ip.is_reserved or any(ip in network for network in _SPECIAL)
    return ip.is_global and not special


async def look_up(host: str) -> list[str]:
    """The addresses of `host`, as the system sees them."""
    found = await asyncio.get_running_loop().getaddrinfo(host, 443, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]
