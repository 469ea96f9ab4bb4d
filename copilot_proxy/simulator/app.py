"""The ASGI application: routing, recording and fault injection for every request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress

import msgspec

from . import (
    agents,
    auto,
    chat_completions,
    embeddings,
    gateway,
    github,
    messages,
    models,
    plans,
    responses,
)
from .call import Broken, Call, ClientGone, Receive, Scope, Send
from .faults import MODEL_PATHS
from .recorder import BUG, CLIENT_GONE, COMPLETE, FAULT
from .refusal import PLAIN, Refusal, copilot, invalid, plain
from .responses_socket import Connection
from .state import State
from .types import Json
from .websocket import WebSocket

WELCOME = (
    "This is copilot-proxy's simulator: it replaces GitHub and the Copilot API, so that "
    "copilot-proxy can be tried and tested without an account. To talk to it, start "
    "`copilot-proxy serve --simulate` and point an OpenAI client at that server.\n"
)

GitHubHandler = Callable[[Call], Awaitable[None]]
CopilotHandler = Callable[[Call, dict[str, str]], Awaitable[None]]

GITHUB: dict[tuple[str, str], GitHubHandler] = {
    ("POST", "/login/device/code"): github.device_code,
    ("POST", "/login/oauth/access_token"): github.access_token,
    ("GET", "/login/device"): github.device_page,
    ("POST", "/login/device"): github.device_page,
    ("GET", "/user"): github.user,
    ("GET", "/copilot_internal/v2/token"): github.exchange,
    ("GET", "/copilot_internal/user"): github.copilot_user,
    ("GET", "/copilot_internal/managed_settings"): github.no_settings,
    ("GET", "/copilot_internal/team_customizations"): github.no_settings,
}
COPILOT: dict[tuple[str, str], CopilotHandler] = {
    ("GET", "/models"): models.models,
    ("POST", "/chat/completions"): chat_completions.handle,
    ("POST", "/responses"): responses.handle,
    ("POST", "/v1/messages"): messages.handle,
    ("POST", "/v1/messages/count_tokens"): messages.count_tokens,
    ("POST", "/embeddings"): embeddings.handle,
    ("POST", "/auto"): auto.auto,
    ("POST", "/models/session"): auto.session,
    ("POST", "/mcp/readonly"): agents.mcp,
    ("GET", "/agents/swe/internal/memory/v0/enabled"): agents.memory,
}
GITHUB_PATHS = {path for _, path in GITHUB}
COPILOT_PATHS = {path for _, path in COPILOT}


class Application:
    """An ASGI application that serves github.com, api.github.com and the Copilot API."""

    def __init__(self, state: State) -> None:
        self.state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"the simulator does not speak {scope['type']}")
        call = Call(scope, receive, send, self.state)
        if call.path.startswith("/_simulator"):
            with suppress(ClientGone):
                await call.read()
                await self._respond(call, _control)
            return
        recorder = self.state.recorder
        reason = BUG
        try:
            with recorder.counted():
                try:
                    await call.read()
                finally:
                    recorder.add(call.record)
                await self._respond(call, _route)
            reason = COMPLETE
        except ClientGone:
            reason = CLIENT_GONE
        except Broken:
            reason = FAULT
        finally:
            call.unwatch()
            recorder.finish(call.record, reason)

    async def socket(self, scope: Scope, socket: WebSocket) -> None:
        """Serve a WebSocket."""
        await Connection(dict(scope), socket, self.state).run()

    async def _respond(self, call: Call, handler: GitHubHandler) -> None:
        """Run a handler; if it raises a `Refusal`, send that as the response."""
        common = gateway.headers(call) if call.path not in GITHUB_PATHS else github.headers()
        try:
            await handler(call)
        except Refusal as refusal:
            await call.refuse(refusal, common)
        except RecursionError:  # for example, a schema with hundreds of levels
            await call.refuse(invalid(), common)
        finally:
            call.unwatch()


async def _route(call: Call) -> None:
    """Route a request to one of the three hosts."""
    faults = call.state.faults
    await _break(call)
    if call.path in GITHUB_PATHS:
        if faults.take("github_down", call.path):
            await call.hang_up(reset=True)
        handler = GITHUB.get((call.method, call.path))
        if handler is None:
            raise plain(405, "Method Not Allowed\n")
        await handler(call)
        return
    if call.path == "/" and call.method in ("GET", "HEAD"):
        await call.answer(200, WELCOME.encode(), PLAIN, {})
    elif call.path == "/_ping":
        await call.answer(200, b"OK", PLAIN, gateway.headers(call))
    else:
        await _copilot(call)


async def _copilot(call: Call) -> None:
    """Handle a request to the Copilot API."""
    handler = COPILOT.get((call.method, call.path))
    is_policy = call.parts[1:2] == ["models"] and call.parts[-1] == "policy" and len(call.parts) > 3
    if is_policy and call.method == "POST":
        handler = models.policy
    if handler is None:
        if call.path in COPILOT_PATHS or is_policy:
            raise plain(405, "Method Not Allowed\n")
        raise plain(404, "404 page not found\n")
    gateway.check(call)
    if refusal := call.state.faults.answer(call.path):
        raise refusal
    if len(call.body) > call.state.body_limit:
        raise plain(413, "413 Request Entity Too Large\n")
    quota = plans.quota_headers(call.state.account, call.state.spent)
    await handler(call, {**gateway.headers(call), **quota})


async def _break(call: Call) -> None:
    """Apply the faults that reset or stall a connection before any response."""
    faults = call.state.faults
    if call.path not in MODEL_PATHS:
        named = {fault for fault, on in faults.listed()["on"].items() if on["path"] == call.path}
    else:
        named = {"cut_before_headers", "stall_before_headers"}
    if "cut_before_headers" in named and faults.take("cut_before_headers", call.path):
        await call.hang_up(reset=True)
    if "stall_before_headers" in named and (
        fault := faults.take("stall_before_headers", call.path)
    ):
        if fault.value is None:
            await call.wait_until_gone()
        await call.pause(float(fault.value))


async def _control(call: Call) -> None:
    """``/_simulator/...``: switch faults on and off, and list the recorded requests."""
    parts = call.path.strip("/").split("/")[1:]
    faults = call.state.faults
    if call.method == "GET" and parts == ["requests"]:
        concurrency = call.state.concurrency
        shown = [record.public() for record in list(call.state.requests)]
        now = {"now": concurrency.now, "max": concurrency.max}
        await call.json({"requests": shown, "concurrency": now, "exchanges": call.state.exchanges})
    elif call.method == "GET" and parts == ["faults"]:
        await call.json(faults.listed())
    elif call.method == "DELETE" and parts == ["faults"]:
        faults.clear()
        await call.json(faults.listed()["on"])
    elif call.method in ("PUT", "DELETE") and len(parts) == 2 and parts[0] == "faults":
        _switch(call, parts[1])
        await call.json(faults.listed()["on"])
    else:
        raise plain(404, "404 page not found\n")


def _switch(call: Call, name: str) -> None:
    faults = call.state.faults
    if call.method == "DELETE":
        faults.off(name)
        return
    body: Json = {}
    if call.body:
        try:
            body = msgspec.json.decode(call.body, type=Json)
        except msgspec.DecodeError:
            raise copilot(400, "The body must be a JSON object.") from None
    options = {key: body[key] for key in ("times", "path", "value") if key in body}
    try:
        faults.on(name, **options)
    except ValueError as error:
        raise copilot(404, str(error), "unknown_fault") from None
