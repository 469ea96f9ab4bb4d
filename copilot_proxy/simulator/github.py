"""github.com and api.github.com: the device flow, the token exchange and the account."""

from __future__ import annotations

import html
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import msgspec

from . import plans
from .call import github_request_id
from .refusal import JSON, Refusal, github, no_access
from .refusal import html as html_page
from .state import EXCHANGING_CLIENTS, OTHER_CLIENTS, DeviceCode
from .types import Json

if TYPE_CHECKING:
    from .call import Call

FORM = "application/x-www-form-urlencoded; charset=utf-8"
GRANT = "urn:ietf:params:oauth:grant-type:device_code"
DOCS = (
    "https://docs.github.com/developers/apps/authorizing-oauth-apps#error-codes-for-the-device-flow"
)

DESCRIPTIONS = {
    "authorization_pending": "The authorization request is still pending.",
    "slow_down": "Too many requests have been made in the same timeframe.",
    "expired_token": "The `device_code` has expired.",
    "access_denied": "The authorization request was denied.",
    "incorrect_device_code": "The device_code provided is not valid.",
    "incorrect_client_credentials": "The client_id passed is incorrect.",
    "unsupported_grant_type": f"The grant_type has to be {GRANT}.",
    "device_flow_disabled": "Device Flow must be explicitly enabled for this App",
}
SHORT = {"pending": "authorization_pending", "expired": "expired_token", "denied": "access_denied"}

PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Simulated device activation</title></head>
<body><h1>Simulated device activation</h1><p>{message}</p>
<form method="post" action="/login/device">
<label>Code <input name="user_code" value="{code}" autofocus></label>
<button name="answer" value="allow">Authorize</button>
<button name="answer" value="deny">Cancel</button></form></body></html>
"""


def headers() -> dict[str, str]:
    """Return the headers of every response from GitHub itself."""
    return {
        "x-github-request-id": github_request_id(),
        "x-github-media-type": "github.v3; format=json",
        "x-content-type-options": "nosniff",
        "strict-transport-security": "max-age=31536000; includeSubdomains; preload",
        "cache-control": "no-cache",
        "vary": "Accept",
    }


async def device_code(call: Call) -> None:
    """``POST /login/device/code``: start a sign-in."""
    body = _fields(call)
    client_id = body.get("client_id")
    if client_id not in EXCHANGING_CLIENTS and client_id not in OTHER_CLIENTS:
        raise Refusal(404, {"error": "Not Found"}, content_type=JSON)
    login = call.state.begin_login(client_id)
    answer = {
        "device_code": login.code,
        "user_code": login.user_code,
        "verification_uri": f"{call.state.url}/login/device",
        "expires_in": call.state.device_expires_in,
        "interval": login.interval,
    }
    await _say(call, answer)


async def access_token(call: Call) -> None:
    """``POST /login/oauth/access_token``: send the token, once the user has entered the code."""
    body = _fields(call)
    login = call.state.logins.get(str(body.get("device_code")))
    client_id = body.get("client_id")
    if client_id not in EXCHANGING_CLIENTS and client_id not in OTHER_CLIENTS:
        await _fail(call, "incorrect_client_credentials")
    elif body.get("grant_type") != GRANT:
        await _fail(call, "unsupported_grant_type")
    elif login is None or login.client_id != client_id:
        await _fail(call, "incorrect_device_code")
    else:
        await _poll(call, login)


async def _poll(call: Call, login: DeviceCode) -> None:
    step = _step(call, login)
    login.polls += 1
    login.last_poll = time.monotonic()
    if step == "ok":
        del call.state.logins[login.code]
        token = call.state.issue_oauth_token(login.client_id)
        await _say(call, {"access_token": token, "token_type": "bearer", "scope": ""})
    elif step == "slow_down":
        login.interval += 5
        await _fail(call, "slow_down", interval=login.interval)
    elif step == "drop":
        await call.hang_up(reset=True)
    elif step == "html":
        raise html_page(502)
    elif step == "missing_fields":
        await _say(call, {"token_type": "bearer", "scope": ""})
    elif step.startswith("http_"):
        raise Refusal(int(step[5:]), {"message": "Server Error"}, content_type=JSON)
    else:
        await _fail(call, SHORT.get(step, step))


def _step(call: Call, login: DeviceCode) -> str:
    """Return the outcome of a poll, which is scripted if `device_flow` is set."""
    script = call.state.device_flow
    if script is not None:
        return str(script[min(login.polls, len(script) - 1)])
    if time.monotonic() >= login.deadline:
        return "expired_token"
    if login.denied:
        return "access_denied"
    if login.last_poll is not None and time.monotonic() - login.last_poll < login.interval - 0.2:
        return "slow_down"
    if login.approved or (call.state.auto_approve and login.polls >= 2):
        return "ok"
    return "authorization_pending"


async def device_page(call: Call) -> None:
    """``/login/device``: the page for entering the code; accepts a form, or JSON from programs."""
    if call.method == "GET":
        code = html.escape(call.query.removeprefix("user_code="), quote=True)
        message = "Enter the code shown on your device."
        await _page(call, 200, PAGE.format(message=message, code=code))
        return
    body = _fields(call)
    user_code = str(body.get("user_code", "")).strip().upper()
    login = next((one for one in call.state.logins.values() if one.user_code == user_code), None)
    if login is None:
        status, message = 404, "Unknown code."
    else:
        login.denied = body.get("answer") == "deny"
        login.approved = not login.denied
        status, message = 200, "Done. Your device will be notified shortly."
    if "json" in call.headers.get("content-type", ""):
        await call.json({"message": message}, headers(), status=status)
    else:
        await _page(call, status, PAGE.format(message=message, code=""))


async def _page(call: Call, status: int, text: str) -> None:
    await call.answer(status, text.encode(), "text/html; charset=utf-8", headers())


async def exchange(call: Call) -> None:
    """``GET /copilot_internal/v2/token``: exchange an OAuth token for a Copilot token."""
    state = call.state
    if refusal := state.faults.exchange_answer():
        raise refusal
    token = _oauth_token(call)
    if token.startswith("github_pat_"):
        raise github(403, "Resource not accessible by personal access token")
    _accept(call, token)
    if not state.may_exchange(token):
        raise github(404, "Not Found")
    account = state.account
    if call.headers["user-agent"].startswith("Go-http-client"):
        raise no_access("go_http_client", account.login)
    if state.notification is not None:
        raise no_access(state.notification, account.login)
    if not account.chat_enabled:
        raise no_access("no_copilot_access", account.login)
    value, expires_at = state.issue_copilot_token()
    left = max(int(account.entitlement - account.used - state.spent), 0)
    limited = account.free and not account.credits
    body: Json = {
        "token": value,
        "expires_at": expires_at,
        "refresh_in": state.refresh_in,
        "sku": account.sku,
        "individual": not account.organisations,
        "chat_enabled": account.chat_enabled,
        "blackbird_clientside_indexing": False,
        "code_quote_enabled": True,
        "code_review_enabled": True,
        "codesearch": True,
        "copilotignore_enabled": True,
        "vsc_electron_fetcher_v2": False,
        "public_suggestions": "disabled",
        "telemetry": "enabled",
        "endpoints": plans.endpoints(account, state.url),
        "enterprise_list": None,
        "limited_user_quotas": {"chat": left, "completions": 4000} if limited else None,
        "limited_user_reset_date": int(plans.reset_day().timestamp()) if limited else None,
        "organization_list": ["4535c7beffc844b46bb1ed4aa04d759a"] if account.organisations else [],
    }
    if state.user_notification is not None:
        body["user_notification"] = state.user_notification
    await call.json(body, headers())


async def copilot_user(call: Call) -> None:
    """``GET /copilot_internal/user``: plan, quota and endpoints of the account."""
    if call.state.faults.take("user_404", call.path):
        raise github(404, "Not Found")
    if call.state.faults.take("user_500", call.path):
        raise github(500, "Server Error")
    _accept(call, _oauth_token(call))
    body = plans.account(call.state.account, call.state.url, call.state.spent)
    await call.json(body, headers())


async def no_settings(call: Call) -> None:
    """Answer with an empty object: the account has no managed settings or customizations."""
    _accept(call, _oauth_token(call))
    await call.json({}, headers())


async def user(call: Call) -> None:
    """``GET /user``: the user that the token belongs to."""
    _accept(call, _oauth_token(call))
    login = call.state.account.login
    body = {"login": login, "id": 583231, "type": "User", "name": login.title(), "email": None}
    await call.json(body, headers())


def _oauth_token(call: Call) -> str:
    """Return the token in the Authorization header. Its scheme may be ``token`` or ``bearer``."""
    if not call.headers.get("user-agent"):
        raise Refusal(
            403,
            "Request forbidden by administrative rules. Please make sure your request has a "
            "User-Agent header.\n",
        )
    scheme, _, token = call.headers.get("authorization", "").partition(" ")
    if scheme.lower() not in ("token", "bearer") or not token.strip():
        raise github(401, "Requires authentication")
    return token.strip()


def _accept(call: Call, token: str) -> None:
    if not call.state.knows(token):
        raise github(401, "Bad credentials")


def _fields(call: Call) -> Json:
    """Return the fields of the body, which is a form or a JSON object."""
    body = call.record.body
    return body if isinstance(body, dict) else {}


async def _fail(call: Call, error: str, **more: Any) -> None:
    body = {"error": error, "error_description": DESCRIPTIONS.get(error, error), "error_uri": DOCS}
    await _say(call, {**body, **more})


async def _say(call: Call, answer: Json) -> None:
    """Answer in JSON if the client accepts JSON, otherwise as a form. Even errors have the status
    200."""
    if "application/json" in call.headers.get("accept", ""):
        await call.answer(200, msgspec.json.encode(answer), JSON, headers())
    else:
        await call.answer(200, urlencode(answer).encode(), FORM, headers())
