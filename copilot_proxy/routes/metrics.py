"""``GET /metrics``: counters for Prometheus, without any conversation text."""

from collections import Counter
from collections.abc import Iterator

from litestar import Response, get

from copilot_proxy import __version__
from copilot_proxy.errors import RequestError
from copilot_proxy.metrics.prometheus import CONTENT_TYPE, Gauge, text_of
from copilot_proxy.routes.litestar_request import LitestarRequest
from copilot_proxy.routes.services import Services, get_context, get_services


@get("/metrics", include_in_schema=False)
async def metrics(request: LitestarRequest) -> Response[str]:
    """Sends nothing to Copilot. If the server has API keys, this requires the owner's key.

    Raises `RequestError` for a named key, which may only see its own requests.
    """
    services = get_services(request)
    key = get_context(request).key
    if key is not None and key.name is not None:
        raise RequestError(
            "This API key may not read the metrics, which cover the requests of all keys.",
            status=403,
            type="permission_error",
            code="key_not_allowed",
            hint="Use the key in the setting api_key.",
        )
    text = text_of(services.metrics.total(), _gauges(services))
    return Response(text, media_type=CONTENT_TYPE)


def _gauges(services: Services) -> Iterator[Gauge]:
    limiter, quota = services.limiter, services.relay.quota
    yield Gauge("info", "Always 1.", "version", {__version__: 1})
    busy = {"": limiter.limit - limiter.free}
    yield Gauge("open_requests", "Requests being answered by this process.", "", busy)
    waiting = {"": limiter.waiting}
    yield Gauge("queued_requests", "Requests waiting in the queue.", "", waiting)
    cooldowns = Counter[str](one.scope for one in services.upstream.active_cooldowns())
    help = "Refusals by Copilot that the server repeats without sending requests."
    yield Gauge("cooldowns", help, "scope", {"model": 0, "account": 0, **cooldowns})
    if quota is not None and quota.left is not None:
        help = "Remaining quota, as of the last answer."
        yield Gauge("quota_left", help, "unit", {quota.unit: quota.left})
        help = "Monthly quota of the plan."
        yield Gauge("quota_entitlement", help, "unit", {quota.unit: quota.entitlement})
