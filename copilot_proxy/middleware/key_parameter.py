"""Moves the API key from the query, where Gemini clients may put it, to a header.

This keeps it from being logged or shown with the URL.
"""

from typing import Final
from urllib.parse import parse_qsl, urlencode

from copilot_proxy.asgi import Scope

KEY_PATHS: Final = ("/v1beta/", "/v1/models")
"""The prefixes of paths whose parameter ``key`` is an API key."""
_HEADER: Final = b"x-goog-api-key"


def take_key_parameter(scope: Scope, headers: dict[bytes, bytes]) -> None:
    """Remove ``key`` from the query of `scope`, and add it to `headers` unless they already have an
    ``x-goog-api-key``."""
    query = scope.get("query_string", b"")
    if b"key" not in query:
        return
    pairs = parse_qsl(query, keep_blank_values=True)
    found = [value for name, value in pairs if name == b"key"]
    if not found:
        return
    scope["query_string"] = urlencode([pair for pair in pairs if pair[0] != b"key"]).encode()
    headers.setdefault(_HEADER, found[-1])
