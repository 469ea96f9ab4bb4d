"""The services that routes share, and a request's caller, record and body."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Concatenate, Final, NamedTuple, ParamSpec, Protocol, TypeVar

import msgspec

from copilot_proxy.api_keys import KEY_HEADERS
from copilot_proxy.asgi import BODY
from copilot_proxy.attribution import identify_client
from copilot_proxy.auth.caller_tokens import CallerTokens, token_digest
from copilot_proxy.dashboard.lazy import LazyDashboard
from copilot_proxy.dumps import Dumps
from copilot_proxy.formats.file_urls import may_have_files
from copilot_proxy.formats.request_json import parse_json
from copilot_proxy.large_work import LARGE, run_if_large, run_in_turn
from copilot_proxy.metrics.workers import SharedMetrics
from copilot_proxy.middleware.concurrency import ConcurrencyLimiter
from copilot_proxy.network.image_fetcher import ImageFetcher
from copilot_proxy.relay.caller import Caller
from copilot_proxy.relay.records import RequestContext, RequestRecord
from copilot_proxy.relay.relay import Relay
from copilot_proxy.relay.response_memory import ResponseMemory
from copilot_proxy.routes.request_body import receive_body
from copilot_proxy.settings import Settings
from copilot_proxy.upstreams.base import Upstream

_Arguments = ParamSpec("_Arguments")
_Body = TypeVar("_Body")


class Request(Protocol):
    """The parts of a request that most routes need; provided by the framework and by `direct`."""

    @property
    def scope(self) -> Any:
        """The ASGI scope, with `Services` and `RequestContext` in its state."""
        ...

    @property
    def receive(self) -> Callable[[], Awaitable[Any]]: ...


class WebSocketTurn(NamedTuple):
    """Additional data of a request that arrived as a message on a WebSocket."""

    web_socket: bytes = b""
    """The id of the WebSocket; b"" for HTTP requests."""
    is_warm_up: bool = False
    """Whether the client wants no output."""


_OVER_HTTP: Final = WebSocketTurn()


@dataclass(frozen=True, kw_only=True)
class Services:
    """Everything that routes may use; created once, when the server starts."""

    settings: Settings
    upstream: Upstream
    relay: Relay
    callers: CallerTokens
    limiter: ConcurrencyLimiter
    responses: ResponseMemory
    dashboard: LazyDashboard
    metrics: SharedMetrics
    aclose: Callable[[], Awaitable[None]]
    """Closes all connections and stops all background tasks."""
    images: ImageFetcher | None = None
    """None unless the server fetches images given as URLs."""
    dumps: Dumps | None = None
    """None unless the server dumps conversations."""
    simulated: bool = False


def get_services(request: Request) -> Services:
    """Return the services of the application that received `request`."""
    services: Services = request.scope["state"]["services"]
    return services


def get_context(request: Request) -> RequestContext:
    """Return the data that the middleware has recorded about `request`."""
    context: RequestContext = request.scope["state"]["context"]
    return context


def get_turn(request: Request) -> WebSocketTurn:
    """Return the WebSocket data of `request`, or the default for HTTP."""
    turn: WebSocketTurn = request.scope["state"].get("web_socket_turn", _OVER_HTTP)
    return turn


def is_handshake(request: Request) -> bool:
    """Return whether `request` opens a WebSocket, and is therefore answered with 101."""
    return bool(request.scope["state"].get("web_socket_handshake"))


def get_caller(request: Request) -> Caller:
    """Return the sender of `request`: their own GitHub sign-in, if they sent one, and their API
    key.

    If the server has API keys, the headers contain one of them, and never a GitHub token.
    """
    services, context = get_services(request), get_context(request)
    if services.settings.keys:
        return Caller(key=context.key)
    sent = (context.headers.get(name) for name in (b"authorization", *KEY_HEADERS))
    value = next(filter(None, sent), b"").decode("latin-1")
    auth = services.callers.for_header(value)
    return Caller(auth, context.key, b"" if auth is None else token_digest(value))


def start_record(
    request: Request,
    api: str,
    body: Mapping[str, Any],
    body_bytes: int,
    notes: Iterable[str] = (),
) -> RequestRecord:
    """Return a record for `request` to the API named `api`, with its start time.

    `body_bytes` is the size of the JSON `body` as received.
    """
    context = get_context(request)
    context.has_record = True
    return RequestRecord(
        context.request_id,
        api,
        key=context.key.name if context.key else None,
        attribution=identify_client(
            context.headers, body, context.named_client, context.project, context.session
        ),
        body_bytes=body_bytes,
        notes=list(notes),
    )


async def read_body(request: Request, limit: int | None = None) -> bytes:
    """Return the decompressed body. `limit` is the route's own maximum size in bytes, if any.
    Raises `RequestError`."""
    settings = get_services(request).settings
    return await receive_body(
        request.receive,
        get_context(request).headers,
        limit=min(settings.max_body_bytes, limit or settings.max_body_bytes),
        timeout=settings.receive_timeout,
        arrived=request.scope["state"].pop(BODY, None),
    )


async def read_chat_body(request: Request) -> tuple[bytes, list[str]]:
    """Return the decompressed body of a chat API request, and notes about any changes to it.

    If the server fetches images and PDFs, their content replaces their URLs in the body. Raises
    `RequestError`.
    """
    data = await read_body(request)
    images = get_services(request).images
    if images is None or not await run_if_large(len(data), may_have_files, data):
        return data, []
    body = await parse_body(data, parse_json)
    notes = await images.inline(body) if isinstance(body, dict) else []
    return (await run_if_large(len(data), msgspec.json.encode, body) if notes else data), notes


async def parse_body(
    data: bytes,
    parse: Callable[Concatenate[bytes, _Arguments], _Body],
    *args: _Arguments.args,
    **kwargs: _Arguments.kwargs,
) -> _Body:
    """Return ``parse(data, *args, **kwargs)``, called in a thread if the body is large."""
    if len(data) < LARGE:
        return parse(data, *args, **kwargs)
    return await run_in_turn(parse, data, *args, **kwargs)
