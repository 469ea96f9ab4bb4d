"""Sends answers to clients as they arrive, and ends the call to Copilot when a client disconnects.

The response headers are sent when Copilot's first event or error arrives, or when a grace period
ends. This way, an early error keeps its own status, and clients with a short timeout still receive
something. After that, bytes that clients ignore are sent while the stream is silent, and an error
becomes an event.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Any, Final

from copilot_proxy.asgi import BODY_WRITER, BodyWriter, Receive, Scope, Send
from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.formats.client_api import StreamFormat
from copilot_proxy.formats.large_json import encode_strings
from copilot_proxy.large_work import run_in_turn
from copilot_proxy.middleware.error_responses import send_error, to_proxy_error
from copilot_proxy.middleware.shutdown import send_before_exit, server_stopped
from copilot_proxy.relay.reply import ReplySource
from copilot_proxy.routes.disconnects import run_until_disconnect

STREAM_HEADERS: Final = (
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
)

_PIECE: Final = 1024 * 1024
"""Maximum bytes of a large event to send in one write."""

OpenReply = Callable[[], AbstractAsyncContextManager[ReplySource]]
"""Sends the request to Copilot; leaving the context ends the call."""
MakeAnswer = Callable[[], Coroutine[Any, Any, tuple[bytes, Mapping[str, str]]]]
"""Returns the JSON body of an answer, and additional response headers."""


class WholeAnswer:
    """An ASGI application that responds with a JSON body, unless the client disconnects first.

    `make_answer` may raise `CopilotProxyError`.
    """

    def __init__(self, make_answer: MakeAnswer, content_type: bytes = b"application/json") -> None:
        self._make_answer = make_answer
        self._content_type = content_type

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await run_until_disconnect(self._respond(scope, send), receive, scope=scope)

    async def _respond(self, scope: Scope, send: Send) -> None:
        try:
            body, extra = await self._make_answer()
        except Exception as error:
            await send_error(scope, send, to_proxy_error(error))
            return
        headers = [
            (b"content-type", self._content_type),
            (b"content-length", str(len(body)).encode()),
        ]
        headers += [(name.encode(), value.encode("latin-1")) for name, value in extra.items()]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})


class EventStream:
    """An ASGI application that responds with the events of a reply, written in `stream_format`.

    `open_reply` and the reply may raise `CopilotProxyError` at any time. `fail_early` returns the
    events that report an error after the headers have been sent, but before there is a reply.
    If `is_large` is True, encoding an event that repeats parts of the request may take a long time.
    """

    def __init__(
        self,
        open_reply: OpenReply,
        stream_format: StreamFormat,
        fail_early: Callable[[CopilotProxyError], list[dict[str, Any]]],
        *,
        grace: float,
        keep_alive: float,
        is_large: bool = False,
    ) -> None:
        self._open_reply = open_reply
        self._format = stream_format
        self._encode = stream_format.frame
        self._encode_json = stream_format.frame_json
        self._end = stream_format.end
        self._fail_early = fail_early
        self._reply: ReplySource | None = None
        self._grace = grace
        self._keep_alive = keep_alive
        self._is_large = is_large
        self._started = False
        self._ended = False
        self._is_disconnected = False
        self._is_sending = False
        self._last_sent = 0.0
        self._state: dict[str, Any] = {}
        """The state of the ASGI scope."""
        self._writer: BodyWriter | None = None
        self._keep_alive_write: asyncio.Task[None] | None = None
        """A keep-alive that is being sent. Events wait for it, so that every write is complete."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await run_until_disconnect(
            self._respond(scope, send), receive, self._on_disconnect, scope=scope
        )

    def _on_disconnect(self) -> None:
        self._is_disconnected = True

    async def _respond(self, scope: Scope, send: Send) -> None:
        self._state = scope.get("state", {})
        self._schedule_keep_alive(self._grace, send)
        try:
            await self._send_reply(send)
            await self._send(send, b"", last=True)
        except Exception as error:
            await self._send_failure(scope, send, to_proxy_error(error))
        except asyncio.CancelledError:
            if not self._is_disconnected:
                await send_before_exit(self._send_failure(scope, send, server_stopped()))
            raise
        finally:
            self._timer.cancel()
            if self._keep_alive_write is not None:
                self._keep_alive_write.cancel()
                await asyncio.gather(self._keep_alive_write, return_exceptions=True)

    async def _send_reply(self, send: Send) -> None:
        async with self._open_reply() as reply:
            self._reply = reply
            # Closing the generator here makes the token counts known before the context ends.
            async with aclosing(reply.events(self)) as batches:
                async for events in batches:
                    if not self._must_encode_in_thread(events):
                        await self._send(send, self._encode_all(events))
                        continue
                    for event in events:
                        await self._send_in_pieces(
                            send, await run_in_turn(self._encode_large, event)
                        )
            # No keep-alive may follow the last line: for Ollama clients, its space would be an
            # incomplete line.
            self._timer.cancel()
            if self._end:
                await self._send(send, self._end)

    async def _send_failure(self, scope: Scope, send: Send, error: CopilotProxyError) -> None:
        self._timer.cancel()
        await self._finish_keep_alive()
        if self._started:
            events = self._fail_early(error) if self._reply is None else self._reply.fail(error)
            await self._send(send, self._encode_all(events) + self._end, last=True)
        else:
            await send_error(scope, send, error)

    def write(self, events: list[dict[str, Any]]) -> bool:
        """Send `events` immediately if possible; return whether they were sent.

        In most streams, this and `write_json` send all but the first and the last event.
        """
        writer = self._writer
        if (
            writer is None
            or self._keep_alive_write is not None
            or self._must_encode_in_thread(events)
            or not writer.is_ready()
        ):
            return False
        # Only encode events that will be sent, because encoding an event may change how the next
        # one is encoded.
        writer.write(self._encode_all(events))
        self._last_sent = time.monotonic()
        return True

    def write_json(self, events: list[bytes]) -> bool:
        """Send events that are already JSON, as `write` does."""
        writer, encode = self._writer, self._encode_json
        if writer is None or encode is None or self._keep_alive_write is not None:
            return False
        if not writer.write(b"".join(map(encode, events))):
            return False
        self._last_sent = time.monotonic()
        return True

    def _must_encode_in_thread(self, events: list[dict[str, Any]]) -> bool:
        """Return whether the request is large and an event contains a whole Responses response,
        which repeats the tools and instructions of the request."""
        return self._is_large and any("response" in event for event in events)

    def _encode_large(self, event: dict[str, Any]) -> bytes:
        return self._encode(encode_strings(event))

    def _encode_all(self, events: list[dict[str, Any]]) -> bytes:
        return b"".join(map(self._encode, events))

    async def _send(self, send: Send, data: bytes, *, last: bool = False) -> None:
        if self._keep_alive_write is not None:
            await self._finish_keep_alive()
        if self._ended:
            return
        self._ended = last
        self._is_sending = True
        if not self._started:
            await self._start(send)
        await send({"type": "http.response.body", "body": data, "more_body": not last})
        self._last_sent = time.monotonic()
        self._is_sending = False

    async def _send_in_pieces(self, send: Send, data: bytes) -> None:
        """Send a large event in parts. A write copies its data, and other requests must not wait
        for that.

        No keep-alive can come between the parts: keep-alives are held back while a part is being
        sent, and no other code runs between two parts.
        """
        try:
            for start in range(0, len(data), _PIECE):
                await self._send(send, data[start : start + _PIECE])
        except BaseException:
            self._ended = True  # no event may follow an incomplete one
            raise

    async def _start(self, send: Send) -> None:
        self._started = True
        extra = {} if self._reply is None else self._reply.headers
        headers = [(name.encode(), value.encode("latin-1")) for name, value in extra.items()]
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [
                    (b"content-type", self._format.content_type),
                    *STREAM_HEADERS,
                    *headers,
                ],
            }
        )
        self._writer = self._state.get(BODY_WRITER)

    async def _send_keep_alive(self, send: Send) -> None:
        if not self._started:
            await self._start(send)
        await send(
            {"type": "http.response.body", "body": self._format.keep_alive, "more_body": True}
        )
        self._last_sent = time.monotonic()

    def _schedule_keep_alive(self, seconds: float, send: Send) -> None:
        """Check after `seconds` whether the stream needs a keep-alive."""
        self._timer = asyncio.get_running_loop().call_later(seconds, self._keep_stream_alive, send)

    def _keep_stream_alive(self, send: Send) -> None:
        silent = time.monotonic() - self._last_sent
        if self._started and silent < self._keep_alive:
            self._schedule_keep_alive(self._keep_alive - silent, send)
            return
        # While a write is pending, the client is not reading, so a keep-alive would not help.
        if not self._is_sending and (
            self._keep_alive_write is None or self._keep_alive_write.done()
        ):
            self._keep_alive_write = asyncio.ensure_future(self._send_keep_alive(send))
        self._schedule_keep_alive(self._keep_alive, send)

    async def _finish_keep_alive(self) -> None:
        """Wait until no keep-alive is being sent."""
        while (write := self._keep_alive_write) is not None:
            await write
            # If the event loop was blocked, another keep-alive may have started before this task
            # continued.
            if self._keep_alive_write is write:
                self._keep_alive_write = None
