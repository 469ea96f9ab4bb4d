"""Checks whether GitHub can be reached; no token is needed."""

import httpx

from copilot_proxy.auth.github import GitHub
from copilot_proxy.network.http_errors import map_http_error


async def check_reachable(github: GitHub) -> None:
    """Send one request to GitHub's API. Raises `UpstreamUnreachable` if there is no response.

    Any response counts, even an error.
    """
    try:
        await github.client.head(github.addresses.api, timeout=github.timeout)
    except httpx.HTTPError as error:
        raise map_http_error(error) from None
