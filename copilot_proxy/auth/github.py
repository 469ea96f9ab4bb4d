"""The calls to GitHub: device code, poll, token exchange, account.

Shapes are those of GitHub's device flow (RFC 8628) and of the exchange that Copilot's editor
plugins use. Whatever else comes back becomes one of our errors, in `refusals`.
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
from copilot_proxy.auth.network_errors import describe
from copilot_proxy.errors import BrokenResponse, LoginFailed, unbilled
from copilot_proxy.masking import Secret
from copilot_proxy.settings import Settings

_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
_USER_API_VERSION: Final = "2022-11-28"
"""Of ``/user``, which knows nothing of the Copilot endpoints' newer one."""
_TIMEOUT: Final = 30.0
"""Seconds of silence; these answers are short, unlike a model's."""
_GRACE: Final = 60.0
"""Seconds that a Copilot token is good for after `refresh_in`, if nothing better is known."""
_CODE_LIFE: Final = 900.0
_INTERVAL: Final = 5.0


@dataclass(frozen=True)
class DeviceCode:
    """What the person types where, and how long it works (seconds)."""

    device_code: Secret
    user_code: str
    verification_uri: str
    expires_in: float
    interval: float


@dataclass(frozen=True)
class Pending:
    """Not approved yet; `interval` is the new pace in seconds, `slower` asks for 5 s more."""

    interval: float | None = None
    slower: bool = False


@dataclass(frozen=True)
class TokenExchange:
    """Copilot's own token; times are seconds from now, so that a wrong clock does no harm."""

    token: Secret
    refresh_in: float
    lifetime: float
    api_url: str | None
    """``endpoints.api`` as GitHub sent it, unchecked."""
    sku: str | None


class GitHub:
    """GitHub as one host (github.com or a GHE.com tenant) has it."""

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
        """The same for another host."""
        return self if host == self.host else type(self)(self.client, self.settings, host)

    async def aclose(self) -> None:
        """Lets go of the client's connections, which those `at` other hosts share."""
        await self.client.aclose()

    async def device_code(self) -> DeviceCode:
        """Begins a sign-in. Raises `LoginFailed` if GitHub does not let it begin."""
        response = await self._post("/login/device/code", {"scope": headers.SCOPE})
        answer = github_errors.json_or_form(response)
        if "device_code" not in answer:
            raise github_errors.of_login(response, answer)
        try:
            device_code, user_code = str(answer["device_code"]), str(answer["user_code"])
        except KeyError as error:
            raise BrokenResponse(f"GitHub's device code came without its {error}.") from None
        return DeviceCode(
            device_code=Secret(device_code),
            user_code=github_errors.clean(user_code)[:40],
            verification_uri=self._page(answer.get("verification_uri")),
            expires_in=_seconds(answer.get("expires_in"), _CODE_LIFE),
            interval=_seconds(answer.get("interval"), _INTERVAL),
        )

    async def poll(self, device_code: Secret) -> Secret | Pending:
        """The GitHub token once the person has approved, until then `Pending`.

        Raises `LoginFailed` when no more polling will help, `UpstreamError` for a hiccup.
        """
        response = await self._post(
            "/login/oauth/access_token",
            {"device_code": device_code.reveal(), "grant_type": _GRANT},
        )
        answer = github_errors.json_or_form(response)
        token = answer.get("access_token")
        if isinstance(token, str) and _is_sendable(token):
            return Secret(token)
        if answer.get("error") == "authorization_pending":
            return Pending()
        if answer.get("error") == "slow_down":
            interval = _seconds(answer.get("interval"), 0.0)
            return Pending(interval=interval or None, slower=True)
        raise github_errors.of_login(response, answer)

    async def exchange(self, token: Secret) -> TokenExchange:
        """Copilot's token for a GitHub token. Raises `NotSignedIn`, `NoCopilotAccess` or, for
        what may pass, `UpstreamError`."""
        with unbilled():
            response = await self._get("/copilot_internal/v2/token", token)
            if response.status_code != 200:
                raise github_errors.of_exchange(response, token)
            return _parse_exchange(
                github_errors.json_object(response), response.headers.get("date")
            )

    async def user(self, token: Secret) -> str:
        """The login of whoever `token` belongs to."""
        response = await self._get("/user", token, {"x-github-api-version": _USER_API_VERSION})
        if response.status_code != 200:
            raise github_errors.of_account(response)
        login = github_errors.json_object(response).get("login")
        if not isinstance(login, str) or not login:
            raise BrokenResponse("GitHub's answer does not say whose token it is.")
        return github_errors.clean(login)

    async def copilot_user(self, token: Secret) -> Account:
        """The account's plan and quota."""
        response = await self._get("/copilot_internal/user", token)
        if response.status_code != 200:
            raise github_errors.of_account(response)
        return parse_account(github_errors.json_object(response))

    async def _post(self, path: str, fields: Mapping[str, str]) -> httpx.Response:
        return await self._send(
            "POST",
            self.addresses.web + path,
            # GitHub answers form-encoded to whoever does not ask for JSON.
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
            # `from None`: the request inside holds the token.
            raise describe(error) from None

    def _page(self, uri: object) -> str:
        """Where the code is typed; what is no web address is never opened or shown."""
        if isinstance(uri, str) and re.fullmatch(r"https?://[!-~]+", uri):
            return uri
        return self.addresses.web + "/login/device"


class _Envelope(msgspec.Struct):
    """The exchange's answer as it should be; only the first three fields must be there."""

    token: str
    expires_at: float
    refresh_in: float
    endpoints: dict[str, str] | None = None
    sku: str | None = None


class _Critical(msgspec.Struct):
    token: str
    expires_at: float
    refresh_in: float


def _parse_exchange(payload: Mapping[str, object], sent_at: str | None) -> TokenExchange:
    envelope: _Envelope | _Critical
    try:
        envelope = msgspec.convert(payload, _Envelope)
        api_url, sku = (envelope.endpoints or {}).get("api"), envelope.sku
    except msgspec.ValidationError:
        # A field of a new type must not keep anybody from working.
        try:
            envelope = msgspec.convert(payload, _Critical)
        except msgspec.ValidationError as error:
            raise BrokenResponse(
                f"GitHub's token exchange answered something new: {error}."
            ) from None
        endpoints = payload.get("endpoints")
        api_url = endpoints.get("api") if isinstance(endpoints, Mapping) else None
        sku = None
    if not _is_sendable(envelope.token):
        raise BrokenResponse("GitHub's token exchange answered with an unusable token.")
    refresh_in = max(envelope.refresh_in, 0.0)
    lifetime = envelope.expires_at - _timestamp(sent_at)
    return TokenExchange(
        token=Secret(envelope.token),
        refresh_in=refresh_in,
        lifetime=lifetime if lifetime >= refresh_in else refresh_in + _GRACE,
        api_url=api_url if isinstance(api_url, str) else None,
        sku=sku,
    )


def _is_sendable(token: str) -> bool:
    """Whether it can stand in a header."""
    return bool(token) and token.isascii() and token.isprintable()


def _timestamp(http_date: str | None) -> float:
    """GitHub's clock when it answered; this machine's if it did not say."""
    try:
        return parsedate_to_datetime(http_date or "").timestamp()
    except ValueError:
        return time.time()


def _seconds(value: object, default: float) -> float:
    """A positive number of seconds, also from a form-encoded answer."""
    try:
        seconds = float(value)  # type: ignore[arg-type]  # anything else is the except's case
    except (TypeError, ValueError):
        return default
    return seconds if 0 < seconds < 86_400 else default


__all__ = ["Account", "DeviceCode", "GitHub", "LoginFailed", "Pending", "TokenExchange"]
