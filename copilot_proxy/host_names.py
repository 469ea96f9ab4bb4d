"""Checks whether a string is a host name, and whether the host is this machine."""

import ipaddress
import re
from functools import lru_cache
from typing import Final

_NAME: Final = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*\.?", re.IGNORECASE)
_MAX_LENGTH: Final = 253


def is_host(name: str) -> bool:
    """Return whether `name` is an IP address, or an ASCII name whose parts all have a valid length.

    This is checked here because libraries raise various errors for other names.
    """
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return len(name) <= _MAX_LENGTH and _NAME.fullmatch(name) is not None
    return "%" not in name


@lru_cache(maxsize=64)
def is_loopback(host: str) -> bool:
    """Return whether `host`, a name or an IP address, is this machine's loopback interface."""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
