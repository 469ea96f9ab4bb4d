"""The Copilot API over HTTP: endpoints, headers, and what may be sent a second time.

A call is repeated only when it is certain that it was not processed: the connection failed before
anything was sent, or the token was refused (401, 421). No other answer is ever asked for twice.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, Final, Literal

import httpx
import msgspec

from copilot_proxy import headers as identity_headers
from copilot_proxy.auth.copilot_auth import AuthState, Clock, CopilotToken, TokenSource
from copilot_proxy.auth.network_errors import describe
from copilot_proxy.catalogue import Catalogue, parse_models
from copilot_proxy.errors import (
    BrokenResponse,
    RequestError,
    UpstreamError,
    UpstreamUnreachable,
    unbilled,
)
from copilot_proxy.formats.upstream_errors import refusal
from copilot_proxy.headers import Identity
from copilot_proxy.upstreams.account_cooldowns import AccountCooldowns
from copilot_proxy.upstreams.base import Api, Call, UpstreamResponse
from copilot_proxy.upstreams.catalogue_cache import CatalogueCache
from copilot_proxy.upstreams.cooldowns import Cooldown
from copilot_proxy.upstreams.http.response import CopilotResponse, unpacking
from copilot_proxy.upstreams.http.transport import HttpRequest, HttpResponse, Transport

_PATHS: Final[Mapping[Api, str]] = {
    "chat_completions": "/chat/completions",
    "responses": "/responses",
    "messages": "/v1/messages",
    "count_tokens": "/v1/messages/count_tokens",
    "embeddings": "/embeddings",
}
INTENT: Final = "conversation-panel"
_MODELS_INTENT: Final = "model-access"
_MOST_ERROR_BYTES: Final = 256 * 1024
_MODELS_TIMEOUT: Final = 30.0
_ERROR_PATIENCE: Final = 5.0
"""Seconds for the body of an error answer; its status alone says enough."""


class CopilotUpstream:
    """Answers calls through the Copilot API, with the token and host that `auth` gives."""

    only: Literal["pi_ai"] | None = None

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

    async def models(self, auth: TokenSource | None = None, *, fresh: bool = False) -> Catalogue:
        """The account's models."""
        return await self._catalogues.get(auth or self._auth, fresh=fresh)

    async def send(self, call: Call) -> UpstreamResponse:
        """The accepted answer to `call`, to be closed; raises `CopilotProxyError`."""
        headers = identity_headers.copilot(
            self._identity,
            intent=INTENT,
            initiator=call.initiator,
            vision=call.vision,
            request_id=call.request_id,
        )
        headers |= {**call.headers, "content-type": "application/json"}
        if call.stream:
            headers["accept"] = "text/event-stream"
        response = await self._guarded(call, headers)
        return CopilotResponse(response, asked_for_stream=call.stream)

    def state(self) -> AuthState:
        """What ``/health`` may tell anyone."""
        return self._auth.state()

    def cooldowns(self) -> list[Cooldown]:
        """Those of the server's own sign-in that are not over."""
        return self.account_cooldowns.active(self._auth)

    async def aclose(self) -> None:
        """Lets go of all connections."""
        await self._transport.aclose()

    async def _fetch_models(self, auth: TokenSource) -> Catalogue:
        headers = identity_headers.copilot(self._identity, intent=_MODELS_INTENT)
        token = await auth.token()
        with unbilled():
            response = await self._answered(
                auth, token, "GET", "/models", headers, None, timeout=_MODELS_TIMEOUT
            )
            try:
                return parse_models(await CopilotResponse(response, asked_for_stream=False).whole())
            except ValueError as error:
                raise BrokenResponse(
                    f"Copilot's list of models cannot be read: {error}."
                ) from error
            finally:
                await response.aclose()

    async def _guarded(self, call: Call, headers: Mapping[str, str]) -> HttpResponse:
        """The accepted answer to `call`; raises `CooldownRefusal` during a cooldown."""
        auth = call.auth or self._auth
        token = await auth.token()
        path, content = _PATHS[call.api], _encoded(call.body)
        return await self.account_cooldowns.call(
            auth,
            token,
            call.api,
            str(call.body.get("model")),
            lambda token: self._answered(auth, token, "POST", path, headers, content),
        )

    async def _answered(
        self,
        auth: TokenSource,
        token: CopilotToken,
        method: str,
        path: str,
        headers: Mapping[str, str],
        content: bytes | None,
        timeout: float | None = None,
    ) -> HttpResponse:
        """The accepted answer, its body unread.

        Raises `UpstreamRefusal` or `UpstreamUnreachable`.
        """
        may_reconnect = may_renew = True
        while True:
            try:
                response = await self._open(token, method, path, headers, content, timeout)
            except UpstreamUnreachable as error:
                if not (error.passing and may_reconnect):
                    raise
                may_reconnect = False
                continue
            if 200 <= response.status < 300:
                auth.accepted(token)
                return response
            body = await _error_bytes(response)
            if may_renew and is_stale_token(response.status, body):
                may_renew = False
                if (renewed := await auth.renew(token)) is not None:
                    token = renewed
                    continue
            raise _refused(response, body)

    async def _open(
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
                **headers,
                "authorization": f"Bearer {token.value.reveal()}",
                "accept-encoding": "gzip, deflate",
            },
            content,
            self._timeouts if timeout is None else {**self._timeouts, "read": timeout},
        )
        try:
            return await self._transport.send(request)
        except httpx.HTTPError as error:
            raise describe(error, token.api_url) from error


def _encoded(body: dict[str, Any]) -> bytes:
    try:
        return msgspec.json.encode(body)
    except RecursionError:
        raise RequestError("The body is nested too deeply.") from None


def is_stale_token(status: int, body: bytes) -> bool:
    """Whether a fresh token may help: it was refused (401), or belongs to another host (421)."""
    # Some are about an id inside the request, or about an agent that wants a sign-in of its own:
    # a new token would change neither.
    other = b"input item ID" in body or b'"authorize_url"' in body
    return status == 421 or (status == 401 and not other)


async def _error_bytes(response: HttpResponse) -> bytes:
    """The body of an error answer, as far as it comes and as much as anyone would read."""
    body = b""
    try:
        async with asyncio.timeout(_ERROR_PATIENCE):
            read = unpacking(response)
            while chunk := await read():
                body += chunk
                if len(body) > _MOST_ERROR_BYTES:
                    break
    except (TimeoutError, httpx.HTTPError, httpx.StreamError):
        pass  # the status alone still says something
    finally:
        await response.aclose()
    return body


def _refused(response: HttpResponse, body: bytes) -> UpstreamError:
    if response.status < 400:
        return BrokenResponse(
            f"Copilot's address answered with status {response.status}, which it never does.",
            hint="A proxy on the way may have sent it: check HTTPS_PROXY.",
        )
    return refusal(response.status, response.headers, body)
