"""The WebSocket of ``/responses``, where requests and events are messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from . import catalogue, gateway, plans, responses, responses_rules
from .call import Broken, Call, ClientGone, Scope
from .recorder import CLIENT_GONE, COMPLETE, FAULT
from .refusal import Refusal, copilot, invalid, plain
from .types import Item, Json, QuotaSnapshot, ResponsesRequest
from .websocket import SocketClosed, WebSocket

if TYPE_CHECKING:
    from .state import State

ENDS = ("response.completed", "response.incomplete")
NOT_OF_A_REQUEST = (
    "type", "initiator", "previous_response_id", "agent_task_id", "parent_agent_id", "headers",
)  # fmt: skip
"""The keys of a message that are not part of the request. The CLI sends the last three: the ids of
its agents, and the headers that it would send over HTTP."""


async def _receive_nothing() -> Json:
    raise RuntimeError("a message has no body to read")


async def _refuse_to_send(message: Any) -> None:
    raise RuntimeError("a message is not answered over HTTP")


class SocketCall(Call):
    """A request that arrived as a message. Events that handlers write as SSE become messages."""

    def __init__(
        self, scope: Scope, state: State, socket: WebSocket, message: ResponsesRequest
    ) -> None:
        initiator = str(message.get("initiator", "user")).encode()
        headers = [
            *scope["headers"],
            (b"x-initiator", initiator),
            (b"copilot-vision-request", b"true"),
        ]
        scope = {**scope, "headers": headers, "method": "WEBSOCKET"}
        super().__init__(scope, _receive_nothing, _refuse_to_send, state)
        self.record.raw = msgspec.json.encode(message)
        self.record.body = {
            **{k: v for k, v in message.items() if k not in NOT_OF_A_REQUEST},
            "stream": True,
        }
        self.gone = socket.closed
        self.ids: list[str] = []
        """The ids that the response has had in its events."""
        self.output: list[Item] | None = None
        """The output of the finished response."""
        self._socket = socket
        self._sse = b""

    async def start(self, status: int, headers: Mapping[str, str]) -> None:
        self.started = True
        self.state.recorder.answered(self.record, status)

    async def write(self, data: bytes) -> None:
        self._sse = (self._sse + data).replace(b"\r\n", b"\n")
        *frames, self._sse = self._sse.split(b"\n\n")
        for lines in frames:
            for line in lines.split(b"\n"):
                if line.startswith(b"data: "):
                    self._event(line[6:])

    async def end(self, data: bytes = b"") -> None:
        await self.write(data)

    async def answer(
        self, status: int, body: bytes, content_type: str, headers: Mapping[str, str]
    ) -> None:
        await self.start(status, headers)
        self._deliver(body)

    async def refuse(self, refusal: Refusal, headers: Mapping[str, str]) -> None:
        """Send an error; unlike in SSE, its fields are nested under ``error``."""
        await self.start(refusal.status, headers)
        try:
            error = msgspec.json.decode(refusal.body)["error"]
        except (msgspec.DecodeError, KeyError, TypeError):
            error = {"code": "bad_request", "message": refusal.body.decode().strip()}
        answer = {"type": "error", "error": error, "copilot_quota_snapshots": self._quota()}
        self._deliver(msgspec.json.encode(answer))

    async def hang_up(self, *, reset: bool = False) -> None:
        self._socket.transport.abort()
        await self.gone.wait()
        raise Broken

    def _event(self, data: bytes) -> None:
        try:
            event = msgspec.json.decode(data)
        except msgspec.DecodeError:
            self._deliver(data)
            return
        if "response" in event:
            self.ids.append(event["response"]["id"])
        if event.get("type") in ENDS:
            self.output = event["response"]["output"]
            event["copilot_quota_snapshots"] = self._quota()
        self._deliver(msgspec.json.encode(event))

    def _deliver(self, data: bytes) -> None:
        try:
            self._socket.send(data)
        except SocketClosed:
            raise ClientGone from None

    def _quota(self) -> dict[str, QuotaSnapshot]:
        account = self.state.account
        name = "premium_interactions"
        found = plans.snapshot(account, name, self.state.spent)
        return {name: {**found, "entitlement": str(found["entitlement"])}}


class Connection:
    """A WebSocket to ``/responses``, which remembers the responses that it has sent."""

    def __init__(self, scope: Scope, socket: WebSocket, state: State) -> None:
        self._scope = scope
        self._socket = socket
        self._state = state
        self._history: dict[str, list[Item]] = {}

    async def run(self) -> None:
        """Answer the upgrade request, then every message."""
        call = Call(self._scope, _receive_nothing, _refuse_to_send, self._state)
        recorder = self._state.recorder
        recorder.add(call.record)
        try:
            self._check(call)
        except Refusal as refusal:
            recorder.answered(call.record, refusal.status)
            recorder.finish(call.record, COMPLETE)
            self._refuse(refusal)
            return
        recorder.answered(call.record, 101)
        self._socket.accept(call.headers["sec-websocket-key"], gateway.headers(call))
        try:
            while True:
                await self._message(await self._socket.receive())
        except SocketClosed:
            recorder.finish(call.record, COMPLETE)

    def _check(self, call: Call) -> None:
        if call.path != catalogue.RESPONSES or "sec-websocket-key" not in call.headers:
            raise plain(404, "404 page not found\n")
        if fault := self._state.faults.take("no_websocket", call.path):
            raise plain(int(fault.value or 404), "no WebSocket here\n")
        gateway.check(call)

    def _refuse(self, refusal: Refusal) -> None:
        status = f"{refusal.status} Refused"
        headers = {
            "content-type": refusal.content_type,
            "content-length": str(len(refusal.body)),
            "connection": "close",
            **refusal.headers,
        }
        self._socket.respond(status, headers, refusal.body)
        self._socket.transport.close()

    async def _message(self, data: bytes) -> None:
        try:
            message = msgspec.json.decode(data)
        except msgspec.DecodeError:
            message = None
        call = SocketCall(self._scope, self._state, self._socket, message or {})
        recorder = self._state.recorder
        recorder.add(call.record)
        reason = FAULT
        try:
            with recorder.counted():
                await self._respond(call, message)
            reason = COMPLETE
        except ClientGone:
            reason = CLIENT_GONE
        except Broken:
            pass
        finally:
            recorder.finish(call.record, reason)

    async def _respond(self, call: SocketCall, message: Any) -> None:
        try:
            if not isinstance(message, dict) or message.get("type") != "response.create":
                raise invalid("expected a message of type response.create")
            if refusal := self._state.faults.answer(call.path):
                raise refusal
            self._check_model(message)
            self._continue(call, message.get("previous_response_id"))
            await responses.handle(call, {})
        except Refusal as refusal:
            await call.refuse(refusal, {})
            return
        self._remember(call)

    def _check_model(self, message: ResponsesRequest) -> None:
        """Raise a 400 for a model that is not served over WebSockets."""
        model = self._state.model(str(message.get("model")))
        if model is not None and catalogue.SOCKET not in catalogue.endpoints_of(model):
            text = f'model "{model["id"]}" is not accessible via the {catalogue.SOCKET} endpoint'
            raise copilot(400, text, "unsupported_api_for_model")

    def _continue(self, call: SocketCall, response_id: Any) -> None:
        """Prepend to the input the conversation of an earlier response on this connection."""
        if response_id is None:
            return
        if response_id not in self._history:
            text = f"Previous response with id '{response_id}' not found."
            raise copilot(400, text, "previous_response_not_found")
        body = responses_rules.shape(call.record.body)
        body["input"] = [*self._history[response_id], *responses_rules.items(body)]

    def _remember(self, call: SocketCall) -> None:
        """Keep the conversation, including the response. Item ids are removed, so that they are not
        checked."""
        if call.output is None:
            return
        items = [*responses_rules.items(call.record.body), *call.output]
        kept = [{k: v for k, v in item.items() if k != "id"} for item in items]
        self._history = dict.fromkeys(call.ids, kept)
