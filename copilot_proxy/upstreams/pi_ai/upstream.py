"""Copilot through pi-ai: conversations go to the sidecar, all other calls to Copilot.

Authentication, host selection and retries work as they do without pi-ai. The sidecar receives a
token with each request and does not store it.
"""

from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any, TypeVar

from copilot_proxy import headers as identity_headers
from copilot_proxy.auth.copilot_auth import AuthState, CopilotToken, TokenSource
from copilot_proxy.catalogue import Catalogue
from copilot_proxy.errors import BrokenResponse, UpstreamRefusal, UpstreamUnreachable
from copilot_proxy.formats.pi_ai.api import PI_AI
from copilot_proxy.formats.upstream_api import UpstreamApi
from copilot_proxy.headers import Identity
from copilot_proxy.network.proxies import proxy_for
from copilot_proxy.upstreams.base import Call, UpstreamResponse, ignore_refusal
from copilot_proxy.upstreams.catalogue_cache import MAX_AGE
from copilot_proxy.upstreams.cooldowns import Cooldown
from copilot_proxy.upstreams.http.copilot import (
    INTENT,
    CopilotUpstream,
    is_stale_token,
    may_be_outdated,
)
from copilot_proxy.upstreams.http.response import decode_body
from copilot_proxy.upstreams.pi_ai.failures import request_error, response_error
from copilot_proxy.upstreams.pi_ai.sidecar import Sidecar
from copilot_proxy.upstreams.pi_ai.sidecar_process import SidecarExchange, SidecarMessage

_Result = TypeVar("_Result")


class PiAiStreamResponse:
    """A streamed response with pi-ai's events, which `formats.pi_ai` converts.

    `closing` closes the exchange.
    """

    is_stream = True

    def __init__(
        self,
        exchange: SidecarExchange,
        headers: Mapping[str, str],
        more: list[SidecarMessage],
        closing: AsyncExitStack,
    ) -> None:
        self.headers = headers
        self.refused: Callable[[UpstreamRefusal], None] = ignore_refusal
        self._exchange = exchange
        self._more = more
        self._closing = closing

    async def whole(self) -> Any:
        """Raise `BrokenResponse`, because pi-ai always streams."""
        raise BrokenResponse("pi-ai does not send complete responses.")

    async def receive(self, process: Callable[[list[bytes]], _Result | None]) -> _Result | None:
        """Call `process` with the data of events as they arrive, until it returns a result.

        Returns the result, or None if the events end first. Raises `BrokenResponse`.
        """
        messages, self._more = self._more or await self._exchange.read(), []
        while messages:
            events = [bytes(message.event) for message in messages if message.event]
            if events and (result := process(events)) is not None:
                return result
            messages = await self._exchange.read()
        return None

    def finish(self) -> None:
        """Do nothing, because the sidecar itself closes complete responses."""

    async def aclose(self) -> None:
        """Close the exchange, which cancels an unfinished request."""
        await self._closing.aclose()


class PiAiWholeResponse:
    """A complete response of Copilot's `api`, sent even though a stream was requested."""

    is_stream = False

    def __init__(self, api: str, headers: Mapping[str, str], body: Any) -> None:
        self.headers = headers
        self.refused: Callable[[UpstreamRefusal], None] = ignore_refusal
        self._body = {"type": "whole", "api": api, "body": body}

    async def whole(self) -> Any:
        """Return the response as an event of type ``whole``, which `formats.pi_ai` converts."""
        return self._body

    async def receive(self, process: Callable[[list[bytes]], _Result | None]) -> _Result | None:
        """Raise `BrokenResponse`, because there are no events."""
        raise BrokenResponse("A complete response has no events.")

    def finish(self) -> None:
        """Do nothing."""

    async def aclose(self) -> None:
        """Do nothing."""


class PiAiUpstream:
    """Sends conversations through the sidecar, and all other calls to `copilot`."""

    fixed_api: UpstreamApi | None = PI_AI

    def __init__(
        self, copilot: CopilotUpstream, auth: TokenSource, identity: Identity, sidecar: Sidecar
    ) -> None:
        self._copilot = copilot
        self._auth = auth
        self._identity = identity
        self.sidecar = sidecar

    def cached_catalogue(self, auth: TokenSource | None = None) -> Catalogue | None:
        """Return the account's models without waiting, or None if no recent list is cached."""
        return self._copilot.cached_catalogue(auth)

    async def catalogue(
        self, auth: TokenSource | None = None, *, max_age: float = MAX_AGE
    ) -> Catalogue:
        """Return the account's models from Copilot's list, including those unknown to pi-ai."""
        return await self._copilot.catalogue(auth, max_age=max_age)

    async def send(self, call: Call) -> UpstreamResponse:
        """Send `call` and return the response, which must be closed. Raises `CopilotProxyError`."""
        if call.path is not None:
            return await self._copilot.send(call)
        auth = call.auth or self._auth
        token = await auth.token()
        response, guard = await self._copilot.account_cooldowns.call(
            auth,
            token,
            call.api,
            str(call.body.get("model")),
            lambda token: self._send_with_retries(auth, call, token),
        )
        response.refused = guard.refused
        return response

    def state(self) -> AuthState:
        """Return the sign-in state for ``/health``."""
        return self._copilot.state()

    def active_cooldowns(self) -> list[Cooldown]:
        """Return the active cooldowns of the server's own sign-in."""
        return self._copilot.active_cooldowns()

    async def aclose(self) -> None:
        """Stop the sidecar and close all connections."""
        await self.sidecar.aclose()
        await self._copilot.aclose()

    async def _send_with_retries(
        self, auth: TokenSource, call: Call, token: CopilotToken
    ) -> UpstreamResponse:
        """Send `call` and return the response.

        Retries once after a connection error, and once after a rejected token. Raises
        `UpstreamRefusal` or `UpstreamUnreachable`.
        """
        may_reconnect = may_renew = True
        while True:
            async with AsyncExitStack() as stack:
                context = self.sidecar.exchange(self._request(call, token), call.size)
                exchange = await stack.enter_async_context(context)
                outcome, *more = await exchange.read() or [SidecarMessage()]
                if outcome.head is not None:
                    auth.accepted(token)
                    headers = outcome.head["headers"]
                    return PiAiStreamResponse(exchange, headers, more, closing=stack.pop_all())
            if outcome.refused is not None:
                refused = outcome.refused
                status, body = refused["status"], refused["body"].encode()
                if may_renew and is_stale_token(status, body):
                    may_renew = False
                    if (renewed := await auth.renew(token)) is not None:
                        token = renewed
                        continue
                refusal = response_error(refused)
                if may_be_outdated(refusal):
                    auth.forbidden(token)
                raise refusal
            if outcome.whole is not None:
                auth.accepted(token)
                body = decode_body(outcome.whole["body"].encode())
                return PiAiWholeResponse(call.body["pi"]["api"], outcome.whole["headers"], body)
            error = request_error(outcome.unreachable or {}, token.api_url)
            if not (isinstance(error, UpstreamUnreachable) and error.temporary and may_reconnect):
                raise error
            may_reconnect = False

    def _request(self, call: Call, token: CopilotToken) -> dict[str, Any]:
        headers: dict[str, str | None] = dict(
            identity_headers.copilot(
                self._identity,
                intent=INTENT,
                initiator=call.initiator,
                vision=call.vision,
                request_id=call.request_id,
            )
        )
        headers |= {**call.body["headers"], "accept": "text/event-stream"}
        if token.direct:
            headers |= identity_headers.DIRECT
        return {
            "url": token.api_url,
            "proxy": proxy_for(token.api_url),
            "token": token.value.reveal(),
            # These override the headers that pi-ai sets itself.
            "headers": headers,
            "request": {
                name: call.body[name] for name in ("pi", "context", "options", "payload", "opaque")
            },
        }
