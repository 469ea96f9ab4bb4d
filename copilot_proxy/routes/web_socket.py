"""The Responses API over a WebSocket: every message is handled like a POST request.

The handshake passes through the application as a GET request, and each ``response.create`` as a
POST with the headers of the handshake. The same checks, limits and records therefore apply. The
only difference is that the server-sent events of the answer become messages. As in OpenAI's API,
messages with the same ``stream_id``, or without one, are handled one after another; different
streams run concurrently.
"""

import asyncio
import uuid
from collections.abc import Coroutine, Iterable, Mapping
from typing import Any, Final, cast

import msgspec

from copilot_proxy.asgi import ASGIApp, Message, Receive, Scope, Send
from copilot_proxy.formats.responses.api import RESPONSES
from copilot_proxy.formats.responses.socket_messages import (
    ClientMessage,
    MessageError,
    error_message,
    parse_message,
    with_fields,
)
from copilot_proxy.large_work import run_if_large
from copilot_proxy.middleware.error_responses import to_proxy_error
from copilot_proxy.middleware.paths import normalize_path, split_base
from copilot_proxy.middleware.shutdown import server_stopped
from copilot_proxy.relay.response_memory import ResponseMemory
from copilot_proxy.routes.services import WebSocketTurn

SHUTDOWN: Final = "copilot_proxy.shutdown"
"""The name of an ASGI extension: an event that is set when the server should stop."""
_MAX_PENDING: Final = 16
"""Maximum number of a WebSocket's messages that are being answered or are waiting."""
_SERVICE_RESTART: Final = 1012
_NOT_FORWARDED: Final = frozenset(
    (b"connection", b"upgrade", b"content-encoding", b"content-length", b"content-type")
)
"""Headers of the handshake that a POST does not have, or has with a different value."""
_HANDSHAKE_PREFIX: Final = b"sec-websocket-"


class WebSockets:
    """ASGI middleware that passes WebSockets to `app` as requests.

    The unanswered messages of a WebSocket may have at most `limit` bytes in total.
    """

    def __init__(self, app: ASGIApp, memory: ResponseMemory, *, limit: int) -> None:
        self._app = app
        self._memory = memory
        self._limit = limit

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Coroutine[Any, Any, None]:
        if scope["type"] == "websocket":
            return self._serve(scope, receive, send)
        return self._app(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        web_socket = _WebSocket(self._app, scope, receive, send, self._limit)
        try:
            if await web_socket.open():
                await web_socket.serve()
        finally:
            self._memory.forget_web_socket(web_socket.id)


class _WebSocket:
    """A WebSocket connection."""

    def __init__(self, app: ASGIApp, scope: Any, receive: Any, send: Any, limit: int) -> None:
        self.id = uuid.uuid4().bytes
        self._app = app
        self._scope = scope
        self._receive = receive
        self._send = send
        self._limit = limit
        self._closed = asyncio.Event()
        self._shutdown: asyncio.Event = scope["extensions"].get(SHUTDOWN) or asyncio.Event()
        self._lanes: dict[str | None, asyncio.Task[None]] = {}
        """``stream_id`` -> the task that answers its last message."""
        self._turns: dict[asyncio.Task[None], int] = {}
        """The tasks that answer messages -> the sizes of the messages in bytes."""

    async def open(self) -> bool:
        """Answer the handshake; return whether the WebSocket is open."""
        await self._receive()  # the event that begins the handshake
        answer = _HandshakeAnswer()
        raw_path = self._scope.get("raw_path") or b""
        path = normalize_path(split_base(self._scope["path"], raw_path).path)
        # On other paths, use a method that no route has, so that a WebSocket cannot open a page or
        # an event stream.
        method = "GET" if path == RESPONSES.client_path else "WEBSOCKET"
        request = self._request(method, self._scope["headers"], {"web_socket_handshake": True})
        await self._app(request, self._until_closed, answer.send)
        if answer.status == 101:
            await self._send({"type": "websocket.accept", "headers": answer.headers})
            return True
        start = {"status": answer.status, "headers": answer.headers}
        await self._send({"type": "websocket.http.response.start", **start})
        await self._send({"type": "websocket.http.response.body", "body": answer.body})
        return False

    async def serve(self) -> None:
        """Answer messages until the client closes the connection or the server stops."""
        reading = asyncio.ensure_future(self._read())
        stopping = asyncio.ensure_future(self._shutdown.wait())
        try:
            await asyncio.wait({reading, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                await self._finish_turns(reading)
        finally:
            # If the server cuts off this task, each answer ends with an error that says so.
            cut = not self._closed.is_set()
            for task in (reading, stopping, *(self._turns if cut else ())):
                task.cancel()
            await asyncio.gather(reading, stopping, *self._turns, return_exceptions=True)
            if cut:
                await self._deliver({"type": "websocket.close", "code": _SERVICE_RESTART})

    async def _finish_turns(self, reading: "asyncio.Future[None]") -> None:
        """Wait until all messages are answered, or the client has disconnected."""
        while self._turns and not reading.done():
            await asyncio.wait({reading, *self._turns}, return_when=asyncio.FIRST_COMPLETED)

    async def _read(self) -> None:
        while True:
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                self._closed.set()
                return
            data = message.get("bytes") or message.get("text") or ""
            try:
                parsed = await run_if_large(len(data), parse_message, data, self._limit)
                await self._start_turn(parsed)
            except MessageError as error:
                await self.send_text(error.message)

    async def _start_turn(self, message: ClientMessage) -> None:
        if message.kind == "response.processed":
            return  # Codex acknowledges responses with such a message
        if message.kind == "response.steer":
            await self.send_text(message.body)
            return
        if self._shutdown.is_set():
            raise MessageError.of(server_stopped(), message.lane)
        size = len(message.body)
        is_full = self._turns and sum(self._turns.values()) + size > self._limit
        if is_full or len(self._turns) >= _MAX_PENDING:
            raise MessageError.too_many(len(self._turns), message.lane)
        previous = self._lanes.get(message.lane)
        task = asyncio.ensure_future(self._answer(message, previous))
        self._lanes[message.lane] = task
        self._turns[task] = size
        task.add_done_callback(lambda done: self._end_turn(message.lane, done))

    def _end_turn(self, lane: str | None, task: "asyncio.Task[None]") -> None:
        self._turns.pop(task, None)
        if self._lanes.get(lane) is task:
            del self._lanes[lane]

    async def _answer(self, message: ClientMessage, previous: "asyncio.Task[None] | None") -> None:
        """Answer a message after the `previous` one."""
        if previous is not None:
            await asyncio.wait({previous})
            if self._closed.is_set():
                return
        headers = [
            *self._headers(),
            (b"content-type", b"application/json"),
            (b"content-length", str(len(message.body)).encode()),
        ]
        turn = WebSocketTurn(self.id, message.is_warm_up)
        body: list[Message] = [{"type": "http.request", "body": message.body, "more_body": False}]

        async def receive() -> Message:
            return body.pop() if body else await self._until_closed()

        answer = _Answer(self, message.lane)
        request = self._request("POST", headers, {"web_socket_turn": turn})
        try:
            await self._app(request, receive, answer.send)
        except Exception as error:  # the client must not be left waiting for an answer
            failed = MessageError.of(to_proxy_error(error), message.lane)
            await self.send_text(failed.message)

    def _headers(self) -> Iterable[tuple[bytes, bytes]]:
        for name, value in self._scope["headers"]:
            if name not in _NOT_FORWARDED and not name.startswith(_HANDSHAKE_PREFIX):
                yield name, value

    def _request(
        self, method: str, headers: Iterable[tuple[bytes, bytes]], state: Mapping[str, object]
    ) -> Scope:
        scope: Any = {
            **self._scope,
            "type": "http",
            "method": method,
            "scheme": "http",
            "headers": list(headers),
            "extensions": {},
            "state": {**self._scope["state"], **state},
        }
        return cast("Scope", scope)

    async def _until_closed(self) -> Message:
        await self._closed.wait()
        return {"type": "http.disconnect"}

    async def send_text(self, text: bytes) -> None:
        """Send a text message, or nothing if the client has disconnected."""
        await self._deliver({"type": "websocket.send", "text": text.decode()})

    async def _deliver(self, message: Mapping[str, object]) -> None:
        try:
            await self._send(message)
        except OSError:
            self._closed.set()


class _HandshakeAnswer:
    """Collects the response to the handshake."""

    def __init__(self) -> None:
        self.status = 500
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = b""

    async def send(self, message: Message) -> None:
        """Handle a part of the response."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = message.get("headers", ())
            content = (b"content-type", b"content-length") if self.status == 101 else ()
            self.headers = [(name, value) for name, value in headers if name not in content]
        elif message["type"] == "http.response.body":
            self.body += message["body"]


class _Answer:
    """Answers a WebSocket message: each event of the response becomes a message.

    The first message includes the HTTP headers that concern the request, such as the notes.
    """

    def __init__(self, web_socket: _WebSocket, lane: str | None) -> None:
        self._web_socket = web_socket
        self._lane = lane
        self._status = 0
        self._headers: dict[str, str] = {}
        self._body = b""

    async def send(self, message: Message) -> None:
        """Handle a part of the response."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._headers = _shown(message.get("headers", ()))
        elif self._status != 200:
            self._body += message["body"]
            if not message.get("more_body"):
                body = msgspec.json.decode(self._body)
                text = error_message(self._status, body, self._headers, self._lane)
                await self._web_socket.send_text(text)
        else:
            # `EventStream` only writes complete events, and JSON has no line breaks.
            for block in message["body"].split(b"\n\n"):
                _, found, event = block.partition(b"\ndata: ")
                if found:
                    headers, self._headers = self._headers, {}
                    await self._web_socket.send_text(with_fields(event, self._lane, headers))


_EXPOSED_HEADERS: Final = ("x-request-id", "retry-after", "retry-after-ms", "x-should-retry")


def _shown(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return the headers that concern the request rather than HTTP."""
    pairs = ((name.decode().lower(), value.decode("latin-1")) for name, value in headers)
    return {n: v for n, v in pairs if n in _EXPOSED_HEADERS or n.startswith("x-copilot-proxy-")}
