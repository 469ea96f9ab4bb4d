"""``/dashboard/...``: files, data, sign-ins and changes for the page at ``/``.

The access middleware has checked the API key or the cookie, except for files and for signing in.
Code that needs the ledger is imported when the page is first opened.
"""

import asyncio
import hashlib
from functools import lru_cache
from typing import Any, Final

import msgspec
from litestar import Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from copilot_proxy.api_keys import ApiKeys
from copilot_proxy.asgi import ASGIApp
from copilot_proxy.errors import RequestError
from copilot_proxy.routes.litestar_request import LitestarRequest
from copilot_proxy.routes.services import get_context, get_services, read_body

_TYPES: Final = {
    "html": "text/html",
    "css": "text/css",
    "js": "text/javascript",
    "svg": "image/svg+xml",
    "txt": "text/plain",
}
_OWN_HEADER: Final = b"x-copilot-proxy-page"
"""A header that the page sends with every change. Browsers do not let other pages send it, because
it is not a CORS-safelisted header."""
_MAX_BODY: Final = 64 * 1024
"""Maximum size of a change in bytes. Anyone may try to sign in, so a larger body must not take up
memory or time."""


class Login(msgspec.Struct):
    """A sign-in: with an API key, or with a code from ``copilot-proxy dashboard``."""

    key: str = ""
    code: str = ""


def wants_page(request: LitestarRequest) -> bool:
    """Return whether a browser is requesting a page."""
    return b"text/html" in get_context(request).headers.get(b"accept", b"")


async def file_response(request: LitestarRequest, name: str) -> Response[bytes]:
    """Return a file of the page. Raises `NotFoundException`."""
    data, tag = await asyncio.to_thread(_file, name)
    headers = {"cache-control": "no-cache", "etag": tag, "vary": "accept"}
    if get_context(request).headers.get(b"if-none-match") == tag.encode():
        return Response(b"", status_code=304, headers=headers)
    return Response(data, media_type=_TYPES[name.rpartition(".")[2]], headers=headers)


@get("/dashboard/{name:str}", include_in_schema=False)
async def dashboard_part(request: LitestarRequest, name: FromPath[str]) -> Response[bytes]:
    """Return a file of the page, or a part of its data."""
    if "." in name:
        return await file_response(request, name)
    from copilot_proxy.routes.dashboard_data import answer

    query = {key: str(value) for key, value in request.query_params.items()}
    dashboard = get_services(request).dashboard.get()
    found = await answer(dashboard, name, query, _scope(request))
    if found is None:
        raise NotFoundException
    return _json(found)


@get("/dashboard/events", include_in_schema=False)
async def dashboard_events(request: LitestarRequest) -> ASGIApp:
    """Stream changes as server-sent events."""
    from copilot_proxy.routes.dashboard_stream import DashboardStream

    return DashboardStream(get_services(request).dashboard.get().feed, _scope(request))


@post("/dashboard/{name:str}", include_in_schema=False)
async def change_dashboard(request: LitestarRequest, name: FromPath[str]) -> Response[bytes]:
    """Sign a browser in or out, or raise a budget."""
    if name not in ("login", "logout", "raise"):
        raise NotFoundException
    headers = get_context(request).headers
    if _OWN_HEADER not in headers:
        raise RequestError(
            "Only the dashboard's own page may do this.",
            status=403,
            type="permission_error",
            code="origin_not_allowed",
            hint="To raise a budget from a script, run: copilot-proxy budget raise 100"
            if name == "raise"
            else "Open it with: copilot-proxy dashboard",
        )
    body = await read_body(request, _MAX_BODY)
    dashboard = get_services(request).dashboard
    if name == "raise":
        from copilot_proxy.routes.dashboard_data import BudgetRaise, raise_budget

        await raise_budget(dashboard.get(), _decode(body, BudgetRaise), _scope(request))
        return _json({})
    is_https = headers.get(b"origin", b"").startswith(b"https:")
    if name == "logout":
        return _json({}, {"set-cookie": dashboard.sessions.no_cookie(https=is_https)})
    cookie = await _login(request, _decode(body, Login), https=is_https)
    return _json({}, {"set-cookie": cookie} if cookie else {})


async def _login(request: LitestarRequest, login: Login, *, https: bool) -> str | None:
    """Return the cookie, or None if the server needs none. Raises `RequestError`."""
    services = get_services(request)
    if not services.settings.keys:
        return None
    sessions = services.dashboard.sessions
    if login.code:
        from copilot_proxy.dashboard.login_codes import redeem

        if await asyncio.to_thread(redeem, services.settings.state_dir, login.code):
            return sessions.cookie(None, https=https)
        raise RequestError(
            "The code is no longer valid.",
            status=401,
            code="invalid_code",
            hint="Enter an API key, or run again: copilot-proxy dashboard",
        )
    if login.key and (key := ApiKeys(services.settings.keys).find([login.key.encode()])):
        return sessions.cookie(key, https=https)
    raise RequestError(
        "The API key is wrong.",
        status=401,
        code="invalid_api_key",
        hint="Enter one of the server's API keys. On the server's machine, `copilot-proxy "
        "dashboard` signs you in without one.",
    )


def _scope(request: LitestarRequest) -> str | None:
    """Return the name of the API key whose requests may be shown, or None for the owner, who may
    see all requests."""
    key = get_context(request).key
    return None if key is None else key.name


def _decode(body: bytes, kind: type[Any]) -> Any:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError(f"The body is invalid: {error}", code="invalid_type") from None


def _json(content: object, headers: dict[str, str] | None = None) -> Response[bytes]:
    return Response(
        msgspec.json.encode(content),
        status_code=200,
        media_type="application/json",
        headers={"cache-control": "no-store", **(headers or {})},
    )


@lru_cache(maxsize=32)
def _file(name: str) -> tuple[bytes, str]:
    """Return a file of the page, and its ETag."""
    from importlib import resources

    # Only serve listed files: on Windows, a name with a backslash could point outside the folder.
    folder = resources.files("copilot_proxy.dashboard") / "static"
    files = {file.name: file for file in folder.iterdir()}
    if name not in files or name.rpartition(".")[2] not in _TYPES:
        raise NotFoundException
    data = files[name].read_bytes()
    return data, f'"{hashlib.sha256(data).hexdigest()[:16]}"'
