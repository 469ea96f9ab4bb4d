"""Headers that let a page from an allowed origin use the server (https://fetch.spec.whatwg.org)."""

from collections.abc import Iterable
from typing import Final

from copilot_proxy.headers import FORWARDED_PREFIXES

_EXPOSED_HEADERS: Final = (
    "x-request-id",
    "request-id",
    "retry-after",
    "x-should-retry",
    "x-copilot-proxy-notes",
    "x-copilot-proxy-route",
    "x-copilot-proxy-cost",
    "x-copilot-proxy-quota-left",
)
_METHODS: Final = "GET, POST, DELETE, OPTIONS"
_REQUESTED_HEADERS: Final = b"access-control-request-headers"
VARY: Final = (b"vary", b"Origin")
VARY_PREFLIGHT: Final = (
    b"vary",
    b"Origin, Access-Control-Request-Method, Access-Control-Request-Headers, "
    b"Access-Control-Request-Private-Network",
)


def exposed(headers: Iterable[tuple[bytes, bytes]]) -> tuple[bytes, bytes]:
    """Return the header that lets a page read this server's own headers and the quota headers."""
    names = (name.decode("latin-1").lower() for name, _ in headers)
    exposed = dict.fromkeys(
        (*_EXPOSED_HEADERS, *(name for name in names if name.startswith(FORWARDED_PREFIXES)))
    )
    return b"access-control-expose-headers", ", ".join(exposed).encode()


def preflight(headers: dict[bytes, bytes]) -> list[tuple[bytes, bytes]]:
    """Return the headers of a preflight response for an allowed page."""
    allowed = [
        (b"access-control-allow-methods", _METHODS.encode()),
        (
            b"access-control-allow-headers",
            headers.get(_REQUESTED_HEADERS, b"authorization, content-type"),
        ),
        (b"access-control-max-age", b"600"),
    ]
    if headers.get(b"access-control-request-private-network") == b"true":
        allowed.append((b"access-control-allow-private-network", b"true"))
    return allowed
