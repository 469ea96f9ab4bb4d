"""GitHub's API: device code, polling, token exchange, account.

The data structures are those of GitHub's device flow (RFC 8628) and of the token exchange used by
Copilot's editor plugins. Error responses are mapped to `CopilotProxyError` by `github_errors`.
"""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Final, Self

import httpx
import msgspec

from copilot_proxy import headers
from copilot_proxy.auth import github_errors, hosts
from copilot_proxy.auth.account import Account, parse_account
from copilot_proxy.auth.notices import notice_of
from copilot_proxy.auth.token_kinds import is_fine_grained, may_be_direct
from copilot_proxy.errors import BrokenResponse, NoCopilotAccess, never_billed
from copilot_proxy.masking import Secret
from copilot_proxy.network.http_errors import map_http_error
from copilot_proxy.settings import Settings

_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
_USER_API_VERSION: Final = "2022-11-28"
"""The API version for ``/user``, which does not support the Copilot endpoints' version."""
_TIMEOUT: Final = 30.0
"""Read timeout in seconds; short, because no model is involved."""
_GRACE: Final = 60.0
"""Seconds for which a token is valid after `refresh_in`, if its expiry is implausible."""
_DIRECT_LIFETIME: Final = 24 * 3600.0
"""Seconds until the API host for a token that is used directly is looked up again."""
_CODE_LIFETIME: Final = 900.0
_INTERVAL: Final = 5.0
_MALFORMED_HINT: Final = (
    "Try again. If this persists, upgrade copilot-proxy: GitHub may have changed its API."
)


@dataclass(frozen=True)
class DeviceCode:
    """The code that the user enters at `verification_uri`; times are in seconds."""

    device_code: Secret
    user_code: str
    verification_uri: str
    expires_in: float
    interval: float


@dataclass(frozen=True)
class Pending:
    """The user has not approved the sign-in yet. `interval` is the new polling interval in seconds,
    if GitHub sent one. If it sent none but `slower` is true, the interval grows by 5 seconds."""

    interval: float | None = None
    slower: bool = False


@dataclass(frozen=True)
class TokenExchange:
    """A Copilot token. Times are in seconds from now, so a wrong local clock does not matter."""

    token: Secret
    refresh_in: float
    lifetime: float
    api_url: str | None
    """``endpoints.api`` as GitHub sent it, not yet checked."""
    sku: str | None
    direct: bool = False
    """Whether `token` is the GitHub token itself, because that cannot be exchanged."""
    notice: str | None = None
    """A notice for the user from GitHub."""


class GitHub:
    """The API of one GitHub host: github.com or a GHE.com tenant."""

    def __init__(
        self, client: httpx.AsyncClient, settings: Settings, host: str = hosts.GITHUB
    ) -> None:
        self.client = client
        self.settings = settings
        self.host = host
        self.addresses = hosts.addresses(host, settings)
        self.timeout = httpx.Timeout(
            min(_TIMEOUT, settings.read_timeout), connect=settings.connect_timeout
        )

    def at(self, host: str) -> Self:
        """Return the API of `host`, with the same HTTP client."""
        return self if host == self.host else type(self)(self.client, self.settings, host)

    async def aclose(self) -> None:
        """Close the HTTP client, which is shared with the objects that `at` returned."""
        await self.client.aclose()

    async def device_code(self) -> DeviceCode:
        """Start a sign-in. Raises `LoginFailed` if GitHub rejects it."""
        response = await self._post("/login/device/code", {"scope": headers.SCOPE})
        data = github_errors.json_or_form(response)
        if "device_code" not in data:
            raise github_errors.login_error(response, data)
        try:
            device_code, user_code = str(data["device_code"]), str(data["user_code"])
        except KeyError as error:
            message = f"GitHub's device code response does not contain {error}."
            raise BrokenResponse(message, hint=_MALFORMED_HINT) from None
        return DeviceCode(
            device_code=Secret(device_code),
            user_code=github_errors.clean(user_code)[:40],
            verification_uri=self._verification_uri(data.get("verification_uri")),
            expires_in=_seconds(data.get("expires_in"), _CODE_LIFETIME),
            interval=_seconds(data.get("interval"), _INTERVAL),
        )

    async def poll(self, device_code: Secret) -> Secret | Pending:
        """Return the GitHub token if the user has approved the sign-in, otherwise `Pending`.

        Raises `LoginFailed` for a final error and `UpstreamError` for a temporary one.
        """
        response = await self._post(
            "/login/oauth/access_token",
            {"device_code": device_code.reveal(), "grant_type": _GRANT},
        )
        data = github_errors.json_or_form(response)
        token = data.get("access_token")
        if isinstance(token, str) and _is_sendable(token):
            return Secret(token)
        if data.get("error") == "authorization_pending":
            return Pending()
        if data.get("error") == "slow_down":
            interval = _seconds(data.get("interval"), 0.0)
            return Pending(interval=interval or None, slower=True)
        raise github_errors.login_error(response, data)

    async def exchange(self, token: Secret) -> TokenExchange:
        """Exchange a GitHub token for a Copilot token.

        Tokens of apps other than the editors' cannot be exchanged, and are used directly. Raises
        `NotSignedIn`, `NoCopilotAccess` or, for a temporary error, `UpstreamError`.
        """
        with never_billed():
            if is_fine_grained(token):
                return await self._direct(token)
            response = await self._get("/copilot_internal/v2/token", token)
            if response.status_code == 200:
                return _parse_exchange(
                    github_errors.json_object(response), response.headers.get("date")
                )
            error = github_errors.exchange_error(response, token)
            if error.code == "wrong_app_token" and may_be_direct(token):
                return await self._direct(token)
            raise error

    async def _direct(self, token: Secret) -> TokenExchange:
        """Return the GitHub token as a Copilot token, with the API host for its account."""
        account: Account | None = None
        try:
            account = await self.copilot_user(token)
        except NoCopilotAccess:
            # A personal access token might not be allowed to read the account.
            if not is_fine_grained(token):
                raise
        if account is not None and account.chat_enabled is False:
            raise github_errors.no_access()
        return TokenExchange(
            token=token,
            refresh_in=_DIRECT_LIFETIME,
            lifetime=_DIRECT_LIFETIME,
            api_url=account.api_url if account else None,
            sku=account.sku if account else None,
            direct=True,
        )

    async def user(self, token: Secret) -> str:
        """Return the login of the token's owner."""
        response = await self._get("/user", token, {"x-github-api-version": _USER_API_VERSION})
        if response.status_code != 200:
            raise github_errors.account_error(response)
        login = github_errors.json_object(response).get("login")
        if not isinstance(login, str) or not login:
            message = "GitHub's response does not name the owner of the token."
            raise BrokenResponse(message, hint=_MALFORMED_HINT)
        return github_errors.clean(login)

    async def copilot_user(self, token: Secret) -> Account:
        """Return the account with its plan and quota."""
        response = await self._get("/copilot_internal/user", token)
        if response.status_code != 200:
            raise github_errors.account_error(response)
        return parse_account(github_errors.json_object(response))

    async def _post(self, path: str, fields: Mapping[str, str]) -> httpx.Response:
        return await self._send(
            "POST",
            self.addresses.web + path,
            # Without this header, GitHub's response is form-encoded.
            headers={"accept": "application/json"},
            json={"client_id": headers.CLIENT_ID, **fields},
        )

    async def _get(
        self, path: str, token: Secret, more: Mapping[str, str] | None = None
    ) -> httpx.Response:
        return await self._send(
            "GET",
            self.addresses.api + path,
            headers={
                **headers.github(self.settings.identity),
                "authorization": f"token {token.reveal()}",
                **(more or {}),
            },
        )

    async def _send(self, method: str, url: str, **how: Any) -> httpx.Response:
        try:
            return await self.client.request(method, url, timeout=self.timeout, **how)
        except httpx.HTTPError as error:
            # `from None`, because the request in the error contains the token.
            raise map_http_error(error) from None

    def _verification_uri(self, uri: object) -> str:
        """Return `uri` if it is a web URL, otherwise the usual page for entering the code."""
        if isinstance(uri, str) and re.fullmatch(r"https?://[!-~]+", uri):
            return uri
        return self.addresses.web + "/login/device"


class _ExchangeResponse(msgspec.Struct):
    """The response of the token exchange; only the first three fields are required."""

    token: str
    expires_at: float
    refresh_in: float
    endpoints: dict[str, str] | None = None
    sku: str | None = None


class _RequiredFields(msgspec.Struct):
    token: str
    expires_at: float
    refresh_in: float


def _parse_exchange(payload: Mapping[str, object], sent_at: str | None) -> TokenExchange:
    response: _ExchangeResponse | _RequiredFields
    try:
        response = msgspec.convert(payload, _ExchangeResponse)
        api_url, sku = (response.endpoints or {}).get("api"), response.sku
    except msgspec.ValidationError:
        # A response is accepted even if optional fields have unexpected types.
        try:
            response = msgspec.convert(payload, _RequiredFields)
        except msgspec.ValidationError as error:
            raise BrokenResponse(
                f"GitHub's token exchange returned an unexpected response: {error}.",
                hint=_MALFORMED_HINT,
            ) from None
        endpoints = payload.get("endpoints")
        api_url = endpoints.get("api") if isinstance(endpoints, Mapping) else None
        sku = None
    if not _is_sendable(response.token):
        message = "GitHub's token exchange returned an invalid token."
        raise BrokenResponse(message, hint=_MALFORMED_HINT)
    refresh_in = max(response.refresh_in, 0.0)
    lifetime = response.expires_at - _timestamp(sent_at)
    return TokenExchange(
        token=Secret(response.token),
        refresh_in=refresh_in,
        lifetime=lifetime if lifetime >= refresh_in else refresh_in + _GRACE,
        api_url=api_url if isinstance(api_url, str) else None,
        sku=sku,
        notice=notice_of(payload),
    )


def _is_sendable(token: str) -> bool:
    """Return whether the token can be sent in a header."""
    return bool(token) and token.isascii() and token.isprintable()


def _timestamp(http_date: str | None) -> float:
    """Return the time in a response's Date header, or the local time if there is none."""
    try:
        return parsedate_to_datetime(http_date or "").timestamp()
    except ValueError:
        return time.time()


def _seconds(value: object, default: float) -> float:
    """Return `value` as a number of seconds, or `default` if it is not between 0 and a day."""
    try:
        seconds = float(value)  # type: ignore[arg-type]  # other types raise TypeError
    except (TypeError, ValueError):
        return default
    return seconds if 0 < seconds < 86_400 else default
