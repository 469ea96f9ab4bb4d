"""Which connections lead to the Copilot API: those of a client, or of a server."""

import httpx

from copilot_proxy.auth.certificates import tls_context
from copilot_proxy.auth.network import is_direct
from copilot_proxy.upstreams.steady import steady


def make_transport(client: httpx.AsyncClient, *, many: bool) -> httpx.AsyncBaseTransport:
    """For `many` requests at once; or for a few, on the connections of `client`.

    Where the environment names a proxy the client is taken in any case: it knows all their kinds.
    """
    if many and is_direct():
        # It takes longer to load than a single request would gain.
        from copilot_proxy.upstreams.connections import Connections

        return Connections(tls_context())
    return _ThroughClient(client)


class _ThroughClient(httpx.AsyncBaseTransport):
    """Leaves the client open: it belongs to somebody else."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return steady(await self._client.send(request, stream=True))
