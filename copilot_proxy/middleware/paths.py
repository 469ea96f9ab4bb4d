"""Normalizes the paths of requests: users and clients put base URLs together in many ways."""

from typing import Final

from copilot_proxy.formats.apis import CLIENT_APIS

_FIRST_PARTS: Final = {
    "models",
    "embeddings",
    *(api.client_path.split("/")[2] for api in CLIENT_APIS),
}
"""The first parts of all paths that follow ``/v1``."""


def normalize_path(path: str) -> str:
    """Return `path` without ``//`` or a trailing slash, and with ``/v1`` exactly once."""
    parts = [part for part in path.split("/") if part]
    first = next((i for i, part in enumerate(parts) if part != "v1"), len(parts))
    rest = parts[first:]
    if rest and rest[0] in _FIRST_PARTS:
        return "/v1/" + "/".join(rest)
    return "/" + "/".join(parts)
