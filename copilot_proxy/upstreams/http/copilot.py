"""The Copilot API over HTTP: endpoints, headers and retries.

A request is only retried if it cannot have been processed: the connection failed before
anything was sent, or the token was rejected (401, 421).
"""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import httpx

from copilot_proxy import headers as identity_headers
from copilot_proxy.auth.copilot_auth import AuthState, Clock, CopilotToken, TokenSource
from copilot_proxy.auth.github_errors import personal_token_error
from copilot_proxy.catalogue import Catalogue, parse_models
from copilot_proxy.errors import (
    BrokenResponse,
    UpstreamError,
    UpstreamRefusal,
    UpstreamUnreachable,
    never_billed,
)
from copilot_proxy.formats import broken_responses
from copilot_proxy.formats.large_json import encode_request
from copilot_proxy.formats.upstream_errors import parse_error_response
from copilot_proxy.headers import Identity
from copilot_proxy.large_work import run_if_large
from copilot_proxy.network.http_errors import map_http_error
from copilot_proxy.upstreams.account_cooldowns import AccountCooldowns
from copilot_proxy.upstreams.base import Call, UpstreamResponse
from copilot_proxy.upstreams.catalogue_cache import MAX_AGE, CatalogueCache
from copilot_proxy.upstreams.cooldowns import Cooldown
from copilot_proxy.upstreams.http.response import CopilotResponse, body_reader
from copilot_proxy.upstreams.http.transport import HttpRequest, HttpResponse, Transport

if TYPE_CHECKING:
    from copilot_proxy.formats.upstream_api import UpstreamApi

INTENT: Final = "conversation-panel"
_EMBEDDINGS_INTENT: Final = "copilot-panel"
_MODELS_INTENT: Final = "model-access"
_MODELS_PATH: Final = "/models"
_MAX_ERROR_BODY: Final = 256 * 1024
_PERSONAL: Final = b"Personal Access Token"
"""Part of the body of a 400, 401 or 403 with which Copilot refuses a personal access token."""
_MODELS_TIMEOUT: Final = 30.0
_ERROR_BODY_TIMEOUT: Final = 5.0
"""Seconds for reading the body of an error response; after that, only the status is used."""


class CopilotUpstream:
    """Sends calls to the Copilot API, with the token and host from `auth`."""

    fixed_api: "UpstreamApi | None" = None

    def __init__(
        self,
        transport: Transport,
        auth: TokenSource,
        identity: Identity,
        timeouts: Mapping[str, float | None],
        *,
        clock: Clock | None = None,
    ) -> None:
        self._transport = transport
        self._timeouts = timeouts
        self._auth = auth
        self._identity = identity
        self._catalogues = CatalogueCache(self._fetch_models)
        self.account_cooldowns = AccountCooldowns(clock or Clock())

    async def catalogue(
        self, auth: TokenSource | None = None, *, max_age: float = MAX_AGE
    ) -> Catalogue:
        """Return the account's models, from the cache if it is at most `max_age` seconds old."""
        return await self._catalogues.get(auth or self._auth, max_age)

    def cached_catalogue(self, auth: TokenSource | None = None) -> Catalogue | None:
        """Return the account's models without waiting, or None if no recent list is cached."""
        return self._catalogues.recent(auth or self._auth)

    async def send(self, call: Call) -> UpstreamResponse:
        """Send `call` and return the response, which must be closed. Raises `CopilotProxyError`."""
        headers = identity_headers.copilot(
            self._identity,
            intent=_EMBEDDINGS_INTENT if call.api == "embeddings" else INTENT,
            initiator=call.initiator,
            vision=call.vision,
            request_id=call.request_id,
        )
        headers |= {**call.headers, "content-type": "application/json"}
        if call.stream:
            headers["accept"] = "text/event-stream"
        auth = call.auth or self._auth
        token = await auth.token()
        path = call.path or ""
        content = call.content or await run_if_large(
            call.size, encode_request, call.body, call.size
        )
        response, guard = await self.account_cooldowns.call(
            auth,
            token,
            call.api,
            str(call.body.get("model")),
            lambda token: self._send_with_retries(auth, token, "POST", path, headers, content),
        )
        return CopilotResponse(response, stream_requested=call.stream, refused=guard.refused)

    def state(self) -> AuthState:
        """Return the sign-in state for ``/health``."""
        return self._auth.state()

    def active_cooldowns(self) -> list[Cooldown]:
        """Return the active cooldowns of the server's own sign-in."""
        return self.account_cooldowns.active(self._auth)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._catalogues.aclose()
        await self._transport.aclose()

    async def _fetch_models(self, auth: TokenSource) -> Catalogue:
        headers = identity_headers.copilot(self._identity, intent=_MODELS_INTENT)
        token = await auth.token()
        with never_billed():
            response = await self._send_with_retries(
                auth, token, "GET", _MODELS_PATH, headers, None, timeout=_MODELS_TIMEOUT
            )
            try:
                return parse_models(await CopilotResponse(response, stream_requested=False).whole())
            except ValueError as error:
                raise BrokenResponse(f"Copilot's list of models is invalid: {error}.") from error
            finally:
                await response.aclose()

    async def _send_with_retries(
        self,
        auth: TokenSource,
        token: CopilotToken,
        method: str,
        path: str,
        headers: Mapping[str, str],
        content: bytes | None,
        timeout: float | None = None,
    ) -> HttpResponse:
        """Send a request and return the response, which has a 2xx status and an unread body.

        Retries once after a connection error, and once after a rejected token. Raises
        `UpstreamRefusal` or `UpstreamUnreachable`.
        """
        may_reconnect = may_renew = True
        while True:
            try:
                response = await self._send_once(token, method, path, headers, content, timeout)
            except UpstreamUnreachable as error:
                if not (error.temporary and may_reconnect):
                    raise
                may_reconnect = False
                continue
            if 200 <= response.status < 300:
                auth.accepted(token)
                return response
            body = await _read_error_body(response)
            if may_renew and is_stale_token(response.status, body):
                may_renew = False
                if (renewed := await auth.renew(token)) is not None:
                    token = renewed
                    continue
            if token.direct and _PERSONAL in body:
                raise personal_token_error(token.value)
            refusal = _response_error(response, body, names_model=path != _MODELS_PATH)
            if may_be_outdated(refusal):
                auth.forbidden(token)
            raise refusal

    async def _send_once(
        self,
        token: CopilotToken,
        method: str,
        path: str,
        headers: Mapping[str, str],
        content: bytes | None,
        timeout: float | None,
    ) -> HttpResponse:
        request = HttpRequest(
            method,
            token.api_url + path,
            {
                **(identity_headers.direct(headers) if token.direct else headers),
                "authorization": f"Bearer {token.value.reveal()}",
                "accept-encoding": "gzip, deflate",
            },
            content,
            self._timeouts if timeout is None else {**self._timeouts, "read": timeout},
        )
        try:
            return await self._transport.send(request)
        except httpx.HTTPError as error:
            raise map_http_error(error, token.api_url) from error


def is_stale_token(status: int, body: bytes) -> bool:
    """Return whether the token was rejected (401) or is for another host (421)."""
    # Some 401 responses are about an id in the request, or about an agent that requires its own
    # sign-in; a new token would not help.
    is_unrelated = b"input item ID" in body or b'"authorize_url"' in body
    return status == 421 or (status == 401 and not is_unrelated)


def may_be_outdated(error: UpstreamError) -> bool:
    """Return whether the next request should have a new token, because the account may be allowed
    more than when the token was issued.

    This is a 403 without a code. The exchange also tells why the account is allowed less. It is not
    repeated for accounts that GitHub has blocked.
    """
    return (
        isinstance(error, UpstreamRefusal)
        and error.upstream_status == 403
        and error.upstream_code in (None, "forbidden")
        and "Terms of Service" not in error.message
    )


async def _read_error_body(response: HttpResponse) -> bytes:
    """Read the body of an error response within time and size limits, and close the response."""
    body = b""
    try:
        async with asyncio.timeout(_ERROR_BODY_TIMEOUT):
            read = body_reader(response)
            while chunk := await read():
                body += chunk
                if len(body) > _MAX_ERROR_BODY:
                    break
    except (TimeoutError, httpx.HTTPError, httpx.StreamError):
        pass  # report the error with the part that was read
    finally:
        await response.aclose()
    return body


def _response_error(response: HttpResponse, body: bytes, *, names_model: bool) -> UpstreamError:
    if response.status < 400:
        return broken_responses.unexpected_status(response.status)
    return parse_error_response(response.status, response.headers, body, names_model=names_model)
