"""Parses the Host header, and the address at which a connection was accepted."""

import re
from functools import lru_cache
from typing import Final

from copilot_proxy.host_names import is_host

_HOST: Final = re.compile(r"(?:\[([0-9a-f:.]+)\]|([^:]+))(?::[0-9]{0,5})?", re.IGNORECASE)


@lru_cache(maxsize=16)
def host_name(host: str) -> str:
    """Return the name in a Host header, without port and IPv6 brackets, or "" if it is invalid.

    The entire value must be valid: for ``evil.example:80:.localhost``, a browser and a lenient
    parser could disagree on which part is the host.
    """
    if ":" in host and is_host(host):
        return host  # IPv6 without its brackets
    found = _HOST.fullmatch(host)
    name = (found[1] or found[2]) if found else ""
    is_bracketed = found is not None and found[1] is not None
    return name if is_host(name) and is_bracketed == (":" in name) else ""


def plain_address(address: str) -> str:
    """Return the address at which a connection was accepted, the way clients write it.

    A dual-stack socket reports IPv4 addresses as ``::ffff:192.0.2.1``.
    """
    return address.lower().removeprefix("::ffff:")
