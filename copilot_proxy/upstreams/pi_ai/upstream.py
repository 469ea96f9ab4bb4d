"""Copilot, asked through pi-ai: conversations go to its process, all the rest the native way.

Who is signed in, which host is asked and what may be sent a second time is decided here as for the
native upstream; the process gets a token with each request, and keeps none.
"""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any, Literal

from copilot_proxy import headers as identity_headers
from copilot_proxy.auth.copilot_auth import AuthState, CopilotToken, TokenSource
from copilot_proxy.auth.http_clients import proxy_for
from copilot_proxy.catalogue import Catalogue
from copilot_proxy.errors import BrokenResponse, UpstreamUnreachable
from copilot_proxy.headers import Identity
from copilot_proxy.upstreams.base import Call, UpstreamResponse
from copilot_proxy.upstreams.cooldowns import Cooldown
from copilot_proxy.upstreams.http.copilot import INTENT, CopilotUpstream, is_stale_token
from copilot_proxy.upstreams.http.response import decoded
from copilot_proxy.upstreams.pi_ai.failures import refused, unreachable
from copilot_proxy.upstreams.pi_ai.sidecar import Sidecar
from copilot_proxy.upstreams.pi_ai.sidecar_process import Message, SidecarExchange


class PiAiStream:
    """An accepted answer; its events are pi-ai's, which `formats.pi_ai` reads. `closing` lets go
    of its exchange."""

    is_stream = True

    def __init__(
        self,
        exchange: SidecarExchange,
        headers: Mapping[str, str],
        more: list[Message],
        closing: AsyncExitStack,
    ) -> None:
        self.headers = headers
        self._exchange = exchange
        self._more = more
        self._closing = closing

    async def whole(self) -> Any:
        """There is none: pi-ai always streams."""
        raise BrokenResponse("pi-ai gives no whole answers.")

    async def events(self) -> list[bytes]:
        """The data of the next events; empty at the end."""
        messages, self._more = self._more or await self._exchange.read(), []
        while messages:
            if events := [bytes(one.event) for one in messages if one.event]:
                return events
            messages = await self._exchange.read()
        return []

    def finish(self) -> None:
        """Nothing to do: the process closes what is complete."""

    async def aclose(self) -> None:
        """Tells the process to drop what has not ended."""
        await self._closing.aclose()


class PiAiWhole:
    """An accepted answer that is whole though a stream was asked for: it is Copilot's, of `api`."""

    is_stream = False

    def __init__(self, api: str, headers: Mapping[str, str], body: Any) -> None:
        self.headers = headers
        self._body = {"type": "whole", "api": api, "body": body}

    async def whole(self) -> Any:
        """What `formats.pi_ai` takes in place of an event."""
        return self._body

    async def events(self) -> list[bytes]:
        """There are none."""
        raise BrokenResponse("An answer in one piece has no events.")

    def finish(self) -> None:
        """Nothing to do."""

    async def aclose(self) -> None:
        """Nothing to do."""


class PiAiUpstream:
    """Answers conversations through pi-ai, and everything else as `native` does."""

    only: Literal["pi_ai"] | None = "pi_ai"

    def __init__(
        self, native: CopilotUpstream, auth: TokenSource, identity: Identity, sidecar: Sidecar
    ) -> None:
        self._native = native
        self._auth = auth
        self._identity = identity
        self.sidecar = sidecar

    async def models(self, auth: TokenSource | None = None, *, fresh: bool = False) -> Catalogue:
        """The account's models: the catalogue's, not those that pi-ai knows."""
        return await self._native.models(auth, fresh=fresh)

    async def send(self, call: Call) -> UpstreamResponse:
        """The accepted answer to `call`, to be closed; raises `CopilotProxyError`."""
        if call.api != "pi_ai":
            return await self._native.send(call)
        auth = call.auth or self._auth
        token = await auth.token()
        return await self._native.account_cooldowns.call(
            auth,
            token,
            call.api,
            str(call.body.get("model")),
            lambda token: self._answered(auth, call, token),
        )

    def state(self) -> AuthState:
        """What ``/health`` may tell anyone."""
        return self._native.state()

    def cooldowns(self) -> list[Cooldown]:
        """Those of the server's own sign-in that are not over."""
        return self._native.cooldowns()

    async def aclose(self) -> None:
        """Ends the process, and lets go of all connections."""
        await self.sidecar.aclose()
        await self._native.aclose()

    async def _answered(
        self, auth: TokenSource, call: Call, token: CopilotToken
    ) -> UpstreamResponse:
        """The accepted answer; raises `UpstreamRefusal` or `UpstreamUnreachable`."""
        may_reconnect = may_renew = True
        while True:
            async with AsyncExitStack() as trial:
                asked = self.sidecar.exchange(self._request(call, token))
                exchange = await trial.enter_async_context(asked)
                outcome, *more = await exchange.read() or [Message()]
                if outcome.head is not None:
                    auth.accepted(token)
                    headers = outcome.head["headers"]
                    return PiAiStream(exchange, headers, more, closing=trial.pop_all())
            if outcome.refused is not None:
                told = outcome.refused
                if may_renew and is_stale_token(told["status"], told["body"].encode()):
                    may_renew = False
                    if (renewed := await auth.renew(token)) is not None:
                        token = renewed
                        continue
                raise refused(told)
            if outcome.whole is not None:
                auth.accepted(token)
                body = decoded(outcome.whole["body"].encode())
                return PiAiWhole(call.body["pi"]["api"], outcome.whole["headers"], body)
            error = unreachable(outcome.unreachable or {}, token.api_url)
            if not (isinstance(error, UpstreamUnreachable) and error.passing and may_reconnect):
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
        return {
            "url": token.api_url,
            "proxy": proxy_for(token.api_url),
            "token": token.value.reveal(),
            # They win over what pi-ai itself would say of who asked.
            "headers": headers,
            "request": {name: call.body[name] for name in ("pi", "context", "options", "payload")},
        }
