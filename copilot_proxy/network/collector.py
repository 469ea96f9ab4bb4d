"""Sends OpenTelemetry data to a collector over HTTP."""

from collections.abc import Mapping

import httpx

from copilot_proxy.network.http_clients import make_collector_client


class Collector:
    """The connection to a collector."""

    def __init__(self) -> None:
        self._client = make_collector_client()

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Send a JSON body. Raises `OSError` if the collector does not accept it."""
        sent = {"content-type": "application/json", **headers}
        try:
            answer = await self._client.post(url, content=body, headers=sent)
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeEncodeError) as error:
            # The text of an error might contain a header.
            raise OSError(type(error).__name__) from None
        if not answer.is_success:
            raise OSError(f"HTTP {answer.status_code}")

    async def aclose(self) -> None:
        """Close the connection."""
        await self._client.aclose()
