"""``GET /``, and the paths where clients send telemetry."""

from litestar import MediaType, Response, get, post

from copilot_proxy import __version__
from copilot_proxy.routes.dashboard import file_response, wants_page
from copilot_proxy.routes.litestar_request import LitestarRequest
from copilot_proxy.routes.services import get_services


@get("/", media_type=MediaType.TEXT, include_in_schema=False)
async def root(request: LitestarRequest) -> Response[bytes] | str:
    """Return the dashboard to browsers. Other clients receive a short description or, if Ollama's
    API is on, the text that Ollama clients check for."""
    if wants_page(request):
        return await file_response(request, "index.html")
    services = get_services(request)
    if services.settings.ollama:
        return "Ollama is running"
    kind = " Its answers are simulated." if services.simulated else ""
    return (
        f"copilot-proxy {__version__} is running.{kind}\n"
        "Point an OpenAI client at /v1. The API is described at /schema.\n"
    )


@post(
    ["/api/event_logging", "/api/event_logging/{rest:path}"],
    status_code=204,
    include_in_schema=False,
)
async def client_telemetry(request: LitestarRequest) -> None:
    """Accept and discard the telemetry that Claude Code sends to its base URL."""
