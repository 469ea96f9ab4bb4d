"""Requests that are expected to fail."""

import httpx
import pytest

from copilot_proxy.network.http_clients import make_client
from copilot_proxy.settings import Settings

SETTINGS = Settings(connect_timeout=60, read_timeout=60)


async def failure(url: str, settings: Settings = SETTINGS) -> httpx.HTTPError:
    """Return the exception that a request to `url` raises."""
    async with make_client(settings) as client:
        with pytest.raises(httpx.HTTPError) as caught:
            await client.get(url)
    return caught.value
