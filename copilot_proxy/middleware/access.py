"""The door that every request passes: Host, Origin, key, path, and a name for the request.

A server on loopback is within reach of every web page the person opens: by a form post, by a
script, or by a host name that is made to point here (DNS rebinding). What a page can do without
being allowed to is refused before anything reads the request.
"""

import logging
import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from copilot_proxy.errors import CopilotProxyError, RequestError
from copilot_proxy.headers import PASSED_ON
from copilot_proxy.keys import ApiKey, Keys
from copilot_proxy.middleware.error_responses import send_error, speaks_anthropic
from copilot_proxy.relay.records import RequestContext, new_request_id
from copilot_proxy.setting_values import is_loopback

log = logging.getLogger(__name__)

_APIS: Final = ("chat", "models", "responses", "embeddings", "messages")
_OPEN_PATHS: Final = ("/health",)
_QUIET_PATHS: Final = ("/", "/health", "/favicon.ico")
_EXPOSED: Final = (
    "x-request-id",
    "request-id",
    "retry-after",
    "x-should-retry",
    "x-copilot-proxy-notes",
    "x-copilot-proxy-route",
)
_METHODS: Final = "GET, POST, OPTIONS"
_HOST: Final = re.compile(r"(?:\[([0-9a-f:.]+)\]|([^:@/?#\[\]\s]*))(?::\d*)?")
_ASKED_HEADERS: Final = b"access-control-request-headers"
_VARY: Final = (b"vary", b"Origin")
_VARY_PREFLIGHT: Final = (
    b"vary",
    b"Origin, Access-Control-Request-Method, Access-Control-Request-Headers, "
    b"Access-Control-Request-Private-Network",
)
_ALWAYS: Final = (
    # No answer here is a page that may load, frame or run anything.
    (
        b"content-security-policy",
        b"default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
        b"frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
)


class AccessMiddleware:
    """Wraps the application; everything that it refuses gets an error in OpenAI's shape."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        host: str,
        keys: Iterable[ApiKey],
        allowed_hosts: Iterable[str],
        cors_origins: Iterable[str],
    ) -> None:
        self._app = app
        self._keys = Keys(keys)
        # On another address than loopback a key is required, and a page that is led here by a
        # name of its own has none: any name will do.
        self._any_host = not is_loopback(host)
        self._hosts = {name.lower() for name in allowed_hosts} | {host.lower().strip("[]")}
        self._origins = set(cors_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        path = scope["path"] = normal_path(scope["path"])
        scope["raw_path"] = path.encode("utf-8", "surrogateescape")
        context = RequestContext(new_request_id(), scope["method"], path, headers)
        scope["state"]["context"] = context
        request_id = context.request_id.encode()
        extra = [(b"x-request-id", request_id), *_ALWAYS]
        if speaks_anthropic(context):
            extra.append((b"request-id", request_id))
        origin = headers.get(b"origin", b"").decode("latin-1").rstrip("/").lower()
        is_preflight = scope["method"] == "OPTIONS" and b"access-control-request-method" in headers
        if self._origins:
            # Also without an Origin: what is kept must not be shown to a page that has one.
            extra.append(_VARY_PREFLIGHT if is_preflight else _VARY)
        if origin in self._origins:
            extra.append((b"access-control-allow-origin", origin.encode("latin-1")))
            if is_preflight:
                extra += _preflight(headers)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                context.status = message["status"]
                if _is_news(context):
                    log.info("http", extra={"context": context})
                sent = [*message.get("headers", ()), *extra]
                message["headers"] = [*sent, _exposed(sent)] if origin in self._origins else sent
            await send(message)

        is_open = is_preflight or path in _OPEN_PATHS
        if (refusal := self._refusal(context, scope, headers, origin, is_open)) is not None:
            await send_error(scope, send_with_headers, refusal)
        elif is_preflight:
            await _send_empty(send_with_headers, 204)
        else:
            await self._app(scope, receive, send_with_headers)

    def _refusal(
        self,
        context: RequestContext,
        scope: Scope,
        headers: dict[bytes, bytes],
        origin: str,
        is_open: bool,
    ) -> CopilotProxyError | None:
        """Why the request may not come in; else `context` gets the key that it shows, unless what
        it asks for `is_open` to anyone."""
        try:
            _check_single(scope)
            self._check_host(headers, scope["server"])
            self._check_origin(origin, headers)
            if not origin:
                _check_site(context.method, headers)
            if not is_open:
                context.key = self._key(headers)
        except CopilotProxyError as error:
            return error
        return None

    def _check_host(
        self, headers: dict[bytes, bytes], server: tuple[str, int | None] | None
    ) -> None:
        host = headers.get(b"host", b"").decode("latin-1").lower()
        name = host_name(host)
        if self._any_host or is_loopback(name) or name in self._hosts or host in self._hosts:
            return
        raise RequestError(
            f"This server does not answer to the name {name[:200]!r}."
            if name
            else "The request has no valid Host header.",
            status=403,
            type="permission_error",
            code="host_not_allowed",
            hint=f"Use {_address(server)}, or allow the name with COPILOT_PROXY_ALLOWED_HOSTS."
            if name
            else f"Use {_address(server)}.",
        )

    def _check_origin(self, origin: str, headers: dict[bytes, bytes]) -> None:
        if not origin or origin in self._origins or _is_same_origin(origin, headers):
            return
        raise RequestError(
            f"The web page {origin[:200]!r} is not allowed to use this server.",
            status=403,
            type="permission_error",
            code="origin_not_allowed",
            hint=f"If it is yours, start the server with --cors-origin {origin[:200]}"
            if "://" in origin
            else "A page can be named with --cors-origin if it comes from an address.",
        )

    def _key(self, headers: dict[bytes, bytes]) -> ApiKey | None:
        """The key that the request shows; None where none is asked for."""
        if not self._keys:
            return None
        sent = (headers.get(b"x-api-key"), _bearer(headers.get(b"authorization", b"")))
        given = [text for text in sent if text]
        if (key := self._keys.find(given)) is not None:
            return key
        raise RequestError(
            "The API key is not this server's." if given else "No API key was given.",
            status=401,
            code="invalid_api_key",
            hint="Send a key that `copilot-proxy serve` was started with, as "
            "`Authorization: Bearer KEY` or `x-api-key: KEY`.",
        )


def normal_path(path: str) -> str:
    """The one path of a route: without ``//`` or a slash at the end, and with ``/v1`` once.

    Clients are told a base URL in many ways, and add to it in many more.
    """
    parts = [part for part in path.split("/") if part]
    first = next((i for i, part in enumerate(parts) if part != "v1"), len(parts))
    rest = parts[first:]
    if rest and rest[0] in _APIS:
        return "/v1/" + "/".join(rest)
    return "/" + "/".join(parts)


def _check_single(scope: Scope) -> None:
    """Two Host headers (RFC 9112, section 3.2) or Origins are refused: one could hide the other."""
    names = [name for name, _ in scope["headers"]]
    for name in (b"host", b"origin"):
        if names.count(name) > 1:
            raise RequestError(
                f"The request has more than one {name.decode().title()} header.",
                code=f"invalid_{name.decode()}",
                hint="Send it once.",
            )


def _check_site(method: str, headers: dict[bytes, bytes]) -> None:
    """Refuses what a page of another site does without an Origin: images, scripts, forms.

    Browsers say so themselves (https://www.w3.org/TR/fetch-metadata/). A link to here may be
    followed.
    """
    if headers.get(b"sec-fetch-site") not in (b"cross-site", b"same-site"):
        return
    if method in ("GET", "HEAD") and headers.get(b"sec-fetch-mode") == b"navigate":
        return
    raise RequestError(
        "A web page of another site is not allowed to use this server.",
        status=403,
        type="permission_error",
        code="origin_not_allowed",
        hint="If it is yours, name it with --cors-origin, and let it use fetch.",
    )


def host_name(host: str) -> str:
    """The name in a Host header, without the port and the brackets of IPv6; empty if it is none."""
    if host.count(":") > 1 and not host.startswith("["):
        return host
    found = _HOST.fullmatch(host)
    return (found[1] or found[2] or "") if found else ""


def _is_news(context: RequestContext) -> bool:
    """Whether the log has a line for it. What asks Copilot has one of its own, and what goes well
    is worth one only where it may be asked for."""
    is_failure = context.status is not None and context.status >= 400
    is_question = context.method == "GET" and context.path not in _QUIET_PATHS
    return not context.has_record and (is_failure or is_question)


async def _send_empty(send: Send, status: int) -> None:
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _bearer(authorization: bytes) -> bytes:
    scheme, _, value = authorization.strip().partition(b" ")
    return value.strip() if scheme.lower() == b"bearer" else authorization.strip()


def _is_same_origin(origin: str, headers: dict[bytes, bytes]) -> bool:
    """Whether the page came from this very server."""
    try:
        place = urlsplit(origin).netloc
    except ValueError:
        return False
    return place != "" and place == headers.get(b"host", b"").decode("latin-1").lower()


def _address(server: tuple[str, int | None] | None) -> str:
    """Where the request came in; a Unix socket has no port, and takes any name of this machine."""
    host, port = server or ("", None)
    if port is None:
        return "http://localhost"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _exposed(headers: Iterable[tuple[bytes, bytes]]) -> tuple[bytes, bytes]:
    """Which of an answer's headers a page may read: our own, and what is told of the quota."""
    names = (name.decode("latin-1").lower() for name, _ in headers)
    told = dict.fromkeys((*_EXPOSED, *(name for name in names if name.startswith(PASSED_ON))))
    return b"access-control-expose-headers", ", ".join(told).encode()


def _preflight(headers: dict[bytes, bytes]) -> list[tuple[bytes, bytes]]:
    answer = [
        (b"access-control-allow-methods", _METHODS.encode()),
        (
            b"access-control-allow-headers",
            headers.get(_ASKED_HEADERS, b"authorization, content-type"),
        ),
        (b"access-control-max-age", b"600"),
    ]
    if headers.get(b"access-control-request-private-network") == b"true":
        answer.append((b"access-control-allow-private-network", b"true"))
    return answer
