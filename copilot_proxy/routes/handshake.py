"""``GET /v1/responses``: the handshake of a WebSocket."""

from litestar import Response, get
from litestar.exceptions import MethodNotAllowedException

from copilot_proxy.formats.responses.api import RESPONSES
from copilot_proxy.routes.litestar_request import LitestarRequest
from copilot_proxy.routes.services import is_handshake


@get(RESPONSES.client_path, include_in_schema=False)
async def open_web_socket(request: LitestarRequest) -> Response[bytes]:
    """Accept a WebSocket; `web_socket` sends its handshake here as a GET, through all checks."""
    if not is_handshake(request):
        raise MethodNotAllowedException
    return Response(b"", status_code=101)
