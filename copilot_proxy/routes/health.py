"""``GET /health`` and ``/api/hello``: whether the server is up."""

from dataclasses import dataclass
from typing import Literal

from copilot_proxy import __version__
from copilot_proxy.asgi import ASGIApp
from copilot_proxy.cost.quota import Quota
from copilot_proxy.routes.answers import JsonResponse
from copilot_proxy.routes.services import Request, get_services


@dataclass(frozen=True)
class HealthCooldown:
    """A cooldown: for `retry_in` seconds, matching requests are not sent to Copilot."""

    scope: Literal["model", "account"]
    model: str | None
    """None if the scope is the account, or if the name is not in the model list. Such names come
    from clients, so they may contain private text, and this page is public."""
    code: str
    retry_in: int
    """Seconds until matching requests are sent to Copilot again."""


@dataclass(frozen=True)
class HealthQuota:
    """The remaining quota at the time of the last answer; a field is null if there is no quota."""

    unit: str
    """``AI credits``, ``premium requests`` or ``chat messages``."""
    entitlement: float | None
    left: float | None
    percent_left: float | None
    overage: float
    resets_at: str | None


@dataclass(frozen=True)
class Health:
    """The state of the server."""

    status: Literal["ok"]
    version: str
    simulated: bool
    profile: str | None
    """The name of the server's profile; null for the default profile."""
    instance: str | None
    """The id assigned by ``service install``; null if the server is not a service."""
    settings_read_at: float
    """When the server read its settings, in Unix time; later changes need a restart."""
    upstream: str
    """``copilot`` for a direct connection, ``pi-ai`` for one through pi-ai."""
    signed_in: Literal["yes", "no", "unknown"]
    """``unknown`` until a request first needs a token."""
    token_expires_in: int | None
    """Seconds until the token expires; it is renewed long before that."""
    last_error: str | None
    cooldowns: list[HealthCooldown]
    """Refusals that the server repeats to clients without asking Copilot again."""
    quota: HealthQuota | None
    """Null until the first answer."""


async def health(request: Request) -> ASGIApp:
    """Return the state of the server as JSON."""
    return JsonResponse(current_health(request))


async def hello(request: Request) -> ASGIApp:
    """Respond to Claude Code, which calls this path first, to find out whether its base URL
    works."""
    return JsonResponse({"message": "hello"})


def current_health(request: Request) -> Health:
    """Return the state of the server."""
    services = get_services(request)
    state = services.upstream.state()

    def public_name(model: str | None) -> str | None:
        return model if model is not None and services.relay.models.is_listed(model) else None

    return Health(
        status="ok",
        version=__version__,
        simulated=services.simulated,
        profile=services.settings.profile,
        instance=services.settings.instance,
        settings_read_at=services.settings.read_at,
        upstream=services.settings.upstream,
        signed_in=state.signed_in,
        token_expires_in=None if state.expires_in is None else int(state.expires_in),
        last_error=state.last_error,
        cooldowns=[
            HealthCooldown(one.scope, public_name(one.model), one.code, one.retry_in)
            for one in services.upstream.active_cooldowns()
        ],
        quota=_quota(services.relay.quota),
    )


def _quota(quota: Quota | None) -> HealthQuota | None:
    if quota is None:
        return None
    return HealthQuota(
        unit=quota.unit,
        entitlement=None if quota.unlimited else quota.entitlement,
        left=quota.left,
        percent_left=None if quota.unlimited else quota.percent_left,
        overage=quota.overage,
        resets_at=quota.resets_at.isoformat() if quota.resets_at else None,
    )
