"""What the routes work with, and how they find it and the caller in a request."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

import msgspec
from litestar import Request

from copilot_proxy.auth.caller_tokens import CallerTokens
from copilot_proxy.auth.copilot_auth import TokenSource
from copilot_proxy.dumps import Dumps
from copilot_proxy.formats.chat_completions.request import parse_json
from copilot_proxy.keys import ApiKey
from copilot_proxy.middleware.concurrency import ConcurrencyLimiter
from copilot_proxy.relay.records import RequestContext, RequestRecord
from copilot_proxy.relay.relay import Relay
from copilot_proxy.routes.request_body import read_body
from copilot_proxy.settings import Settings
from copilot_proxy.upstreams.base import Upstream
from copilot_proxy.upstreams.image_fetcher import ImageFetcher

AnyRequest = Request[Any, Any, Any]


@dataclass(frozen=True, kw_only=True)
class Services:
    """Everything that a route may use; made once, by whoever starts the server."""

    settings: Settings
    upstream: Upstream
    relay: Relay
    callers: CallerTokens
    limiter: ConcurrencyLimiter
    aclose: Callable[[], Awaitable[None]]
    """Lets go of everything that the server holds."""
    images: ImageFetcher | None = None
    """None where images named by an address are not fetched."""
    dumps: Dumps | None = None
    """None where conversations are not written down."""
    simulated: bool = False


def services_of(request: AnyRequest) -> Services:
    """The services of the application that `request` came to."""
    services: Services = request.app.state.services
    return services


def context_of(request: AnyRequest) -> RequestContext:
    """What the door noted of the request."""
    context: RequestContext = request.scope["state"]["context"]
    return context


def caller(request: AnyRequest) -> TokenSource | None:
    """The client's own sign-in to GitHub, if it sent one and may.

    Where the server has keys of its own, the header carries one of these and never a GitHub token.
    """
    services = services_of(request)
    if services.settings.keys:
        return None
    headers = context_of(request).headers
    key = headers.get(b"authorization") or headers.get(b"x-api-key", b"")
    return services.callers.for_header(key.decode("latin-1"))


def key_of(request: AnyRequest) -> ApiKey | None:
    """The key that the door let the request in with; None where none is asked for."""
    return context_of(request).key


def record_of(
    request: AnyRequest, api: str, body_bytes: int, notes: Iterable[str] = ()
) -> RequestRecord:
    """A record for the log, of a request of `api` that begins now."""
    context = context_of(request)
    context.has_record = True
    return RequestRecord(
        context.request_id,
        api,
        key=context.key.name if context.key else None,
        body_bytes=body_bytes,
        notes=list(notes),
    )


async def body_of(request: AnyRequest) -> bytes:
    """The unpacked body; raises `RequestError`."""
    settings = services_of(request).settings
    return await read_body(
        request.receive,
        context_of(request).headers,
        limit=settings.max_body_bytes,
        patience=settings.receive_timeout,
    )


async def conversation_of(request: AnyRequest) -> tuple[bytes, list[str]]:
    """The unpacked body of a chat API, and notes on what was changed in it.

    Where images may be fetched, they stand there in place of their addresses. Raises
    `RequestError`.
    """
    body = await body_of(request)
    images = services_of(request).images
    if images is None or b"image" not in body:
        return body, []
    asked = parse_json(body)
    notes = await images.inline(asked) if isinstance(asked, dict) else []
    return (msgspec.json.encode(asked) if notes else body), notes
