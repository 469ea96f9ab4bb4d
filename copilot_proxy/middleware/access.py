"""Checks the Host, Origin and API key of every request, normalizes its path, and gives it an id.

Any web page that the user opens can reach a server on loopback: with a form, a script, or a host
name that resolves to 127.0.0.1 (DNS rebinding). Such requests are refused before they are read,
unless the user has allowed the page.
"""

import logging
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Final

from copilot_proxy.api_keys import KEY_HEADERS, ApiKey, ApiKeys
from copilot_proxy.asgi import ASGIApp, Message, Receive, Scope, Send
from copilot_proxy.errors import CopilotProxyError, RequestError
from copilot_proxy.formats.apis import client_api
from copilot_proxy.formats.chat_completions.api import CHAT_COMPLETIONS
from copilot_proxy.formats.client_api import ClientApi
from copilot_proxy.host_names import is_loopback
from copilot_proxy.middleware import cors
from copilot_proxy.middleware.error_responses import send_error, unreadable_code
from copilot_proxy.middleware.host_header import host_name, plain_address
from copilot_proxy.middleware.key_parameter import KEY_PATHS, take_key_parameter
from copilot_proxy.middleware.log_filter import LogFilter
from copilot_proxy.middleware.paths import normalize_path, split_base
from copilot_proxy.middleware.security_headers import PAGE_HEADERS, PART_HEADERS, SECURITY_HEADERS
from copilot_proxy.relay.records import RequestContext, new_request_id

log = logging.getLogger(__name__)

_OPEN_PATHS: Final = ("/health", "/dashboard/login")
_DASHBOARD: Final = "/dashboard/"


class AccessMiddleware:
    """ASGI middleware that checks requests; refusals are in the format of the client's API."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        host: str,
        keys: Iterable[ApiKey],
        allowed_hosts: Iterable[str],
        cors_origins: Iterable[str],
        simulated: bool = False,
        profile: str | None = None,
        find_session: Callable[[bytes], ApiKey | None] = lambda cookies: None,
    ) -> None:
        """`find_session` returns the API key of the dashboard session that the cookies identify."""
        self._app = app
        self._find_session = find_session
        self._simulated = simulated
        self._profile = profile
        self._keys = ApiKeys(keys)
        names = {name.lower() for name in allowed_hosts}
        # A server on an address other than loopback has an API key, which a page that uses DNS
        # rebinding does not have. Any host name is therefore allowed there, unless the user lists
        # the allowed ones.
        self._any_host = not names and not is_loopback(host)
        self._hosts = names | {host.lower().strip("[]")}
        self._origins = set(cors_origins)
        self._is_logged = LogFilter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        context, failure = self._identified(scope, headers)
        path, client = context.path, context.client_api
        is_dashboard = path.startswith(_DASHBOARD)
        request_id = context.request_id.encode()
        is_page = is_dashboard or path == "/"
        extra = [
            (b"x-request-id", request_id),
            *(PART_HEADERS if is_dashboard else PAGE_HEADERS if is_page else SECURITY_HEADERS),
        ]
        if client.request_id_header:
            extra.append((client.request_id_header, request_id))
        origin = headers.get(b"origin", b"").decode("latin-1").lower()
        # The dashboard's paths are only for its own page, not for pages from allowed origins.
        origins: Collection[str] = () if is_dashboard else self._origins
        is_preflight = scope["method"] == "OPTIONS" and b"access-control-request-method" in headers
        if self._origins:
            # Needed even without an Origin, because a cache must not reuse the response for another
            # page.
            extra.append(cors.VARY_PREFLIGHT if is_preflight else cors.VARY)
        if origin in origins:
            extra.append((b"access-control-allow-origin", origin.encode("latin-1")))
            if is_preflight:
                extra += cors.preflight(headers)

        def send_with_headers(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                context.status = message["status"]
                if self._is_logged(context):
                    log.info("http", extra={"context": context})
                sent = [*message.get("headers", ()), *extra]
                message["headers"] = [*sent, cors.exposed(sent)] if origin in origins else sent
            return send(message)

        is_open = is_preflight or path in _OPEN_PATHS or (is_page and _is_file(path, headers))
        refusal = self._refusal(context, scope, headers, origin, origins, is_open) or failure
        if refusal is not None:
            await send_error(scope, send_with_headers, refusal)
        elif is_preflight:
            await _send_empty(send_with_headers, 204)
        else:
            # A HEAD request is handled like a GET; uvicorn leaves out the body.
            inner = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope
            await self._app(inner, receive, send_with_headers)

    def _identified(
        self, scope: Scope, headers: dict[bytes, bytes]
    ) -> tuple[RequestContext, CopilotProxyError | None]:
        """Return a context with a new id for a request that has not been checked yet, and an error
        if the code of the client's API cannot be read.

        Normalizes the path in `scope`, and moves a key from the query to the headers.
        """
        base = split_base(scope["path"], scope.get("raw_path") or b"")
        path = scope["path"] = normalize_path(base.path)
        scope["raw_path"] = path.encode("utf-8", "surrogateescape")
        if path.startswith(KEY_PATHS):
            take_key_parameter(scope, headers)
        api: ClientApi = CHAT_COMPLETIONS
        failure = None
        try:
            api = client_api(path, headers)
        except (ImportError, OSError) as error:
            failure = unreadable_code(error)
        context = RequestContext(
            new_request_id(),
            scope["method"],
            path,
            headers,
            api,
            self._simulated,
            self._profile,
            base.client,
            base.project,
            base.session,
        )
        scope["state"]["context"] = context
        return context, failure

    def _refusal(
        self,
        context: RequestContext,
        scope: Scope,
        headers: dict[bytes, bytes],
        origin: str,
        origins: Collection[str],
        is_open: bool,
    ) -> CopilotProxyError | None:
        """Return why the request is refused, or None if it is accepted.

        Stores the request's API key in `context`. If `is_open`, clients need no key.
        """
        try:
            _check_single(scope)
            self._check_host(headers, scope["server"])
            _check_origin(origin, origins, headers)
            if not origin:
                _check_site(context.method, headers)
            if not is_open:
                context.key = self._key(context.path, headers)
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
        if server is not None and name and name == plain_address(server[0]):
            return
        raise RequestError(
            f"The Host header {name[:200]!r} is not allowed."
            if name
            else "The request has no valid Host header.",
            status=403,
            type="permission_error",
            code="host_not_allowed",
            hint=f"Use {_address(server)}, or allow the name with COPILOT_PROXY_ALLOWED_HOSTS."
            if name
            else f"Use {_address(server)}.",
        )

    def _key(self, path: str, headers: dict[bytes, bytes]) -> ApiKey | None:
        """Return the API key of the request, or None if the server has no keys."""
        if not self._keys:
            return None
        sent = (*map(headers.get, KEY_HEADERS), _bearer(headers.get(b"authorization", b"")))
        candidates = [text for text in sent if text]
        if (key := self._keys.find(candidates)) is not None:
            return key
        if not candidates and path.startswith(_DASHBOARD):
            # Cookies are only accepted here: elsewhere, they would let any program in the browser
            # spend quota.
            session = self._find_session(headers.get(b"cookie", b""))
            if session is not None:
                return session
        raise RequestError(
            "The API key is wrong." if candidates else "The request has no API key.",
            status=401,
            code="invalid_api_key",
            hint="Send one of the server's API keys as `Authorization: Bearer KEY`, `x-api-key: "
            "KEY` or `x-goog-api-key: KEY`.",
        )


def _check_origin(origin: str, allowed: Collection[str], headers: dict[bytes, bytes]) -> None:
    if not origin or origin in allowed or _is_same_origin(origin, headers):
        return
    raise RequestError(
        f"Web pages from the origin {origin[:200]!r} are not allowed to use this server.",
        status=403,
        type="permission_error",
        code="origin_not_allowed",
        hint=f"If the page is yours, start the server with --cors-origin {origin[:200]}"
        if "://" in origin
        else "Serve the page from a web address and allow that address with --cors-origin.",
    )


def _check_single(scope: Scope) -> None:
    """Reject a request with two Host (RFC 9112, section 3.2) or Origin headers: one could hide the
    other."""
    if len(dict(scope["headers"])) == len(scope["headers"]):
        return  # there are no duplicates
    names = [name for name, _ in scope["headers"]]
    for name in (b"host", b"origin"):
        if names.count(name) > 1:
            raise RequestError(
                f"The request has more than one {name.decode().title()} header.",
                code=f"invalid_{name.decode()}",
                hint="Send it only once.",
            )


def _check_site(method: str, headers: dict[bytes, bytes]) -> None:
    """Refuse requests without an Origin from other sites' pages, such as those for images or forms.

    Browsers mark such requests with Sec-Fetch-Site (https://www.w3.org/TR/fetch-metadata/).
    Following a link to this server is allowed.
    """
    if headers.get(b"sec-fetch-site") not in (b"cross-site", b"same-site"):
        return
    if method in ("GET", "HEAD") and headers.get(b"sec-fetch-mode") == b"navigate":
        return
    raise RequestError(
        "Web pages from other sites are not allowed to use this server.",
        status=403,
        type="permission_error",
        code="origin_not_allowed",
        hint="If the page is yours, allow its origin with --cors-origin, and call this "
        "server with fetch().",
    )


def _is_file(path: str, headers: dict[bytes, bytes]) -> bool:
    """Return whether the request is for one of the dashboard's files, which everyone may read."""
    if path == "/":
        return b"text/html" in headers.get(b"accept", b"")
    return "." in path


async def _send_empty(send: Send, status: int) -> None:
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _bearer(authorization: bytes) -> bytes:
    scheme, _, value = authorization.strip().partition(b" ")
    return value.strip() if scheme.lower() == b"bearer" else authorization.strip()


def _is_same_origin(origin: str, headers: dict[bytes, bytes]) -> bool:
    """Return whether the page is from this server: via http, or via https through a proxy."""
    host = headers.get(b"host", b"").decode("latin-1").lower()
    return host_name(host) != "" and origin in (f"http://{host}", f"https://{host}")


def _address(server: tuple[str, int | None] | None) -> str:
    """Return the URL of the server that received the request; for a Unix socket, localhost."""
    host, port = server or ("", None)
    if port is None:
        return "http://localhost"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
