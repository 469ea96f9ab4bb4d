"""The identity that is sent to GitHub, and the headers of requests to GitHub and Copilot.

The versions are settings because GitHub can stop accepting old ones at any time (HTTP 466), and a
new value should not require a new release.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from copilot_proxy import __version__
from copilot_proxy.masking import mask

CLIENT_ID: Final = "Iv1.b507a08c87ecfe98"
"""The GitHub App of Copilot's editor plugins; the token exchange accepts only its tokens."""

DIRECT: Final[Mapping[str, str | None]] = {
    "copilot-integration-id": "copilot-developer-cli",
    "editor-version": None,
    "editor-plugin-version": None,
}
"""The headers that `direct` changes, or removes if they are None."""

SCOPE: Final = "read:user"

USER_AGENT: Final = f"g-copilot-proxy/{__version__}"
"""The token exchange rejects the default user agents of HTTP libraries as abuse."""

GITHUB_API_VERSION: Final = "2025-04-01"
"""The API version for api.github.com; for the Copilot API, see `Identity.api_version`."""

Initiator = Literal["user", "agent"]


@dataclass(frozen=True)
class Identity:
    """The editor and integration named in requests to Copilot; each value is a setting."""

    editor_version: str = "vscode/1.137.0"
    editor_plugin_version: str = "copilot-chat/0.65.0"
    integration_id: str = "vscode-chat"
    api_version: str = "2026-08-01"


def direct(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers for a request with a GitHub token instead of an exchanged token.

    Copilot accepts such tokens from Copilot CLI, so these requests use its id; an editor is not
    required. Source: GitHub's documentation of Copilot CLI's authentication.
    """
    found: dict[str, str | None] = {**headers, **DIRECT}
    return {name: value for name, value in found.items() if value is not None}


def github(identity: Identity) -> dict[str, str]:
    """Return the headers for github.com and api.github.com, without Authorization."""
    return {
        "accept": "application/json",
        "user-agent": USER_AGENT,
        "editor-version": identity.editor_version,
        "editor-plugin-version": identity.editor_plugin_version,
        "x-github-api-version": GITHUB_API_VERSION,
    }


def copilot(
    identity: Identity,
    *,
    intent: str,
    initiator: Initiator | None = None,
    vision: bool = False,
    request_id: str | None = None,
) -> dict[str, str]:
    """Return the headers for the Copilot API, without Authorization.

    `initiator` determines which requests are billed on plans with premium requests, so it must
    always be derived from the last message. `vision` must be set if any message contains an image.
    """
    headers = {
        "accept": "application/json",
        "user-agent": USER_AGENT,
        "editor-version": identity.editor_version,
        "editor-plugin-version": identity.editor_plugin_version,
        "copilot-integration-id": identity.integration_id,
        "x-github-api-version": identity.api_version,
        "openai-intent": intent,
        "x-request-id": request_id or str(uuid.uuid4()),
    }
    if initiator is not None:
        headers["x-initiator"] = initiator
    if vision:
        headers["copilot-vision-request"] = "true"
    return headers


FORWARDED_PREFIXES: Final = ("x-quota-snapshot-", "x-usage-ratelimit-", "x-ratelimit-")
"""Prefixes of the upstream response headers that are forwarded to clients."""


def forwarded_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the upstream response headers about quota and rate limits, with secrets masked."""
    names = [name for name in headers if name.startswith(FORWARDED_PREFIXES)]
    # Joining the values and masking them all at once is faster. They cannot contain line breaks.
    values = _masked("\n".join([headers[name] for name in names])).split("\n")
    return dict(zip(names, values, strict=False))


@lru_cache(maxsize=64)  # most answers repeat the previous values
def _masked(values: str) -> str:
    return mask(values)
