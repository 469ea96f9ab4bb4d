"""``/dashboard/...``: the files and the data of the page at ``/``, signing in, and "raise".

The access middleware has checked the API key or the cookie, except for files and for signing in.
"""

import asyncio
import hashlib
from functools import lru_cache
from importlib import resources
from typing import Any, Final, TypeVar

import msgspec
from litestar import Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from litestar.types import ASGIApp

from copilot_proxy.cost.limits import SCOPES, parse_amount
from copilot_proxy.errors import RequestError, UsageError
from copilot_proxy.keys import Keys
from copilot_proxy.ledger.queries import Filters
from copilot_proxy.ledger.series import DIMENSIONS, SPANS
from copilot_proxy.routes.services import LitestarRequest, get_context, get_services, read_body

_TYPES: Final = {
    "html": "text/html",
    "css": "text/css",
    "js": "text/javascript",
    "svg": "image/svg+xml",
    "txt": "text/plain",
}
_OWN_HEADER: Final = b"x-copilot-proxy-page"
"""What the page sends with every change. Other pages cannot, since it is no simple header."""
_MAX_ID: Final = 2**62
_Choice = TypeVar("_Choice", bound=str)


class Login(msgspec.Struct):
    """A sign-in: with an API key, or with a code of ``copilot-proxy dashboard``."""

    key: str = ""
    code: str = ""


class BudgetRaise(msgspec.Struct):
    """How much to raise the limits of a scope."""

    credits: str
    kind: str = ""
    name: str = ""


def wants_page(request: LitestarRequest) -> bool:
    """Return whether a browser asks for a page."""
    return b"text/html" in get_context(request).headers.get(b"accept", b"")


async def file_response(request: LitestarRequest, name: str) -> Response[bytes]:
    """Return a file of the page; raises `NotFoundException`."""
    data, tag = await asyncio.to_thread(_file, name)
    headers = {"cache-control": "no-cache", "etag": tag, "vary": "accept"}
    if get_context(request).headers.get(b"if-none-match") == tag.encode():
        return Response(b"", status_code=304, headers=headers)
    return Response(data, media_type=_TYPES[name.rpartition(".")[2]], headers=headers)


@get("/dashboard/{name:str}", include_in_schema=False)
async def dashboard_part(request: LitestarRequest, name: FromPath[str]) -> Response[bytes]:
    """Return a file or a part of the data."""
    if "." in name:
        return await file_response(request, name)
    dashboard, key, query = get_services(request).dashboard, _scope(request), _query(request)
    match name:
        case "spent":
            span = _choice(query, "span", SPANS)
            found = await dashboard.get().spent(span, _choice(query, "by", DIMENSIONS), key)
            spent = [one._asdict() for one in found.spent]
            return _json({"starts": found.starts, "spent": spent})
        case "requests":
            filters = Filters(
                model=query.get("model"),
                client=query.get("client"),
                key=query.get("key") if key is None else key,
                project=query.get("project"),
                session=query.get("session"),
            )
            rows = await dashboard.get().requests(
                filters, before=_before(query), failed=query.get("failed") == "1"
            )
            return _json({"requests": rows})
        case "request":
            one = await dashboard.get().request(query.get("id", ""), key)
            if one is None:
                raise RequestError(
                    "The ledger has no such request.",
                    status=404,
                    code="request_not_found",
                    hint="It may have been forgotten with: copilot-proxy usage forget",
                )
            return _json(one)
    raise NotFoundException


@get("/dashboard/events", include_in_schema=False)
async def dashboard_events(request: LitestarRequest) -> ASGIApp:
    """Stream what changes, as server-sent events."""
    from copilot_proxy.routes.dashboard_stream import DashboardStream

    return DashboardStream(get_services(request).dashboard.get().feed, _scope(request))


@post("/dashboard/{name:str}", include_in_schema=False)
async def change_dashboard(request: LitestarRequest, name: FromPath[str]) -> Response[bytes]:
    """Sign a browser in or out, or raise a budget."""
    headers = get_context(request).headers
    if name not in ("login", "logout", "raise"):
        raise NotFoundException
    if _OWN_HEADER not in headers:
        raise RequestError(
            "Only the dashboard's own page may do this.",
            status=403,
            type="permission_error",
            code="origin_not_allowed",
            hint="To raise a budget from a script, run: copilot-proxy budget raise 100",
        )
    body = await read_body(request)
    is_https = headers.get(b"origin", b"").startswith(b"https:")
    services = get_services(request)
    if name == "login":
        cookie = await _login(request, _decode(body, Login), https=is_https)
        return _json({}, {"set-cookie": cookie} if cookie else {})
    if name == "logout":
        return _json({}, {"set-cookie": services.dashboard.sessions.no_cookie(https=is_https)})
    if _scope(request) is not None:
        raise RequestError(
            "This API key may not raise the budget.",
            status=403,
            type="permission_error",
            code="key_not_allowed",
            hint="On the server's machine, run: copilot-proxy budget raise 100",
        )
    wanted = _decode(body, BudgetRaise)
    if wanted.kind not in ("", *SCOPES):
        raise RequestError("Unknown kind of budget.", code="invalid_value", param="kind")
    try:
        nano = parse_amount(wanted.credits)
    except ValueError as error:
        raise RequestError(
            f"The amount is invalid: {error}.", code="invalid_value", param="credits"
        ) from None
    dashboard = services.dashboard.get()
    try:
        await asyncio.to_thread(dashboard.raise_budget, nano, wanted.kind, wanted.name)
    except UsageError as error:
        raise RequestError(error.message, code="invalid_value", hint=error.hint) from error
    dashboard.feed.refresh()
    return _json({})


async def _login(request: LitestarRequest, login: Login, *, https: bool) -> str | None:
    """Return the cookie; None if the server needs none. Raises `RequestError`."""
    services = get_services(request)
    if not services.settings.keys:
        return None
    sessions = services.dashboard.sessions
    if login.code:
        from copilot_proxy.dashboard.codes import redeem

        if await asyncio.to_thread(redeem, services.settings.state_dir, login.code):
            return sessions.cookie(None, https=https)
        raise RequestError(
            "The code is not valid any more.",
            status=401,
            code="invalid_code",
            hint="Enter an API key, or run again: copilot-proxy dashboard",
        )
    if login.key and (key := Keys(services.settings.keys).find([login.key.encode()])):
        return sessions.cookie(key, https=https)
    raise RequestError(
        "The API key is wrong.",
        status=401,
        code="invalid_api_key",
        hint="Enter a key that `copilot-proxy serve` was started with. On the same machine, "
        "`copilot-proxy dashboard` needs none.",
    )


def _scope(request: LitestarRequest) -> str | None:
    """Return the name of the API key whose requests may be seen; None for the owner: all."""
    key = get_context(request).key
    return None if key is None else key.name


def _query(request: LitestarRequest) -> dict[str, str]:
    return {name: value for name, value in request.query_params.items() if isinstance(value, str)}


def _choice(query: dict[str, str], name: str, choices: tuple[_Choice, ...]) -> _Choice:
    for choice in choices:
        if query.get(name, choices[0]) == choice:
            return choice
    raise RequestError(
        f"{name} has to be one of: {', '.join(choices)}.", code="invalid_value", param=name
    )


def _before(query: dict[str, str]) -> int | None:
    text = query.get("before")
    if text is None:
        return None
    if text.isascii() and text.isdecimal() and int(text[:20]) <= _MAX_ID:
        return int(text[:20])
    raise RequestError("before has to be a number.", code="invalid_value", param="before")


def _decode(body: bytes, kind: type[Any]) -> Any:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
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
    """Return a file of the page, and its tag."""
    if name.rpartition(".")[2] not in _TYPES or "/" in name or name.startswith("."):
        raise NotFoundException
    path = resources.files("copilot_proxy.dashboard") / "static" / name
    try:
        data = path.read_bytes()
    except OSError:
        raise NotFoundException from None
    return data, f'"{hashlib.sha256(data).hexdigest()[:16]}"'
