"""Which connections lead to the Copilot API: those of a client, or of a server."""

from collections.abc import Mapping

import httpx

from copilot_proxy.auth.certificates import tls_context
from copilot_proxy.auth.http_clients import is_direct
from copilot_proxy.upstreams.http.closing import steady
from copilot_proxy.upstreams.http.transport import HttpRequest, HttpResponse, Transport


def make_transport(client: httpx.AsyncClient, *, many: bool) -> Transport:
    """For `many` requests at once; or for a few, on the connections of `client`.

    Where the environment names a proxy the client is taken in any case: it knows all their kinds.
    """
    if many and is_direct():
        # It takes longer to load than a single request would gain.
        from copilot_proxy.upstreams.http.connection_pool import ConnectionPool

        return ConnectionPool(tls_context())
    return ClientTransport(client)


class ClientTransport:
    """Goes by httpx's connections. Leaves the client open: it belongs to somebody else."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def send(self, request: HttpRequest) -> HttpResponse:
        """The answer to `request`, its body unread; raises `httpx.HTTPError`."""
        made = httpx.Request(
            request.method,
            request.url,
            headers=dict(request.headers),
            content=request.body,
            extensions={"timeout": dict(request.timeouts)},
        )
        return _Answer(steady(await self._client.send(made, stream=True)))

    async def aclose(self) -> None:
        """Nothing to do."""


class _Answer:
    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self._pieces = response.aiter_raw()
        self.status = response.status_code
        # Byte by byte, as on the other way.
        response.headers.encoding = "latin-1"
        self.headers: Mapping[str, str] = dict(response.headers)

    async def read(self) -> bytes:
        return await anext(self._pieces, b"")

    async def aclose(self) -> None:
        await self._response.aclose()
