"""Reads a request, sends the response, and notices a disconnect immediately."""

from __future__ import annotations

import asyncio
import secrets
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

import msgspec

from .recorder import RecordedRequest
from .refusal import JSON, Refusal

if TYPE_CHECKING:
    from .state import State

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class ClientGone(Exception):
    """The client closed the connection before the answer was complete."""


class Broken(Exception):
    """The simulator broke the connection itself, because of a fault."""


class Call:
    """A request and the connection to its client."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, state: State) -> None:
        self.state = state
        self.method: str = scope["method"]
        # A model id may contain an encoded slash, which only the raw path distinguishes from a
        # separator.
        raw_path: bytes = scope.get("raw_path") or scope["path"].encode()
        self.parts = [unquote(part) for part in raw_path.decode().split("/")]
        self.path: str = scope["path"]
        self.query: str = scope["query_string"].decode()
        self.headers: dict[str, str] = {
            name.decode().lower(): value.decode() for name, value in scope["headers"]
        }
        self.body = b""
        self.record = RecordedRequest(self.method, self.path, self.query, self.headers)
        self.started = False
        self.gone = asyncio.Event()
        self._receive = receive
        self._send = send
        self._watcher: asyncio.Task[None] | None = None

    async def read(self) -> None:
        """Read the entire body, then watch for the client to disconnect."""
        parts = []
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self.gone.set()
                raise ClientGone
            parts.append(message.get("body", b""))
            if not message.get("more_body"):
                break
        self.body = b"".join(parts)
        self.record.raw = self.body
        self.record.body = self.decoded()
        self._watcher = asyncio.create_task(self._watch())

    def decoded(self) -> Any:
        """Return the decoded body, or None if it is neither JSON nor a form."""
        if "x-www-form-urlencoded" in self.headers.get("content-type", ""):
            return dict(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))
        try:
            return msgspec.json.decode(self.body)
        except msgspec.DecodeError:
            return None

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.gone.set()

    async def pause(self, seconds: float) -> None:
        """Wait for `seconds`. Raises `ClientGone` if the client disconnects in the meantime."""
        if seconds > 0:
            try:
                async with asyncio.timeout(seconds):
                    await self.gone.wait()
            except TimeoutError:
                return
        else:
            await asyncio.sleep(0)
        if self.gone.is_set():
            raise ClientGone

    async def wait_until_gone(self) -> None:
        """Send nothing until the client disconnects, then raise `ClientGone`."""
        await self.gone.wait()
        raise ClientGone

    async def start(self, status: int, headers: Mapping[str, str]) -> None:
        """Send the status line and the headers."""
        if self.gone.is_set():
            raise ClientGone
        self.started = True
        self.state.recorder.answered(self.record, status)
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": raw})

    async def write(self, data: bytes) -> None:
        """Send a chunk of the body immediately."""
        if self.gone.is_set():
            raise ClientGone
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self, data: bytes = b"") -> None:
        """Send the last chunk of the body."""
        if self.gone.is_set():
            raise ClientGone
        self.unwatch()
        await self._send({"type": "http.response.body", "body": data})

    def unwatch(self) -> None:
        """Stop watching for a disconnect."""
        if self._watcher is not None:
            self._watcher.cancel()
            self._watcher = None

    async def answer(
        self, status: int, body: bytes, content_type: str, headers: Mapping[str, str]
    ) -> None:
        """Send a complete response."""
        length = {"content-length": str(len(body))} if status != 204 else {}
        await self.start(status, {"content-type": content_type, **length, **headers})
        await self.end(b"" if self.method == "HEAD" else body)

    async def json(
        self, value: Any, headers: Mapping[str, str] | None = None, *, status: int = 200
    ) -> None:
        """Send a complete JSON response."""
        await self.answer(status, msgspec.json.encode(value), JSON, headers or {})

    async def refuse(self, refusal: Refusal, headers: Mapping[str, str]) -> None:
        """Send an error response; `headers` are the headers that every response has."""
        await self.answer(
            refusal.status, refusal.body, refusal.content_type, {**headers, **refusal.headers}
        )

    async def hang_up(self, *, reset: bool = False) -> None:
        """Close the connection and raise `Broken`.

        Data that was already written still arrives, unless `reset` requests a TCP reset.
        """
        transport = _transport(self._send)
        if reset:
            # With a linger time of zero, the kernel sends RST instead of FIN.
            connection: socket.socket = transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        else:
            transport.close()
        # uvicorn logs an error about an unfinished response unless it has noticed the disconnect.
        await self.gone.wait()
        raise Broken


def _transport(send: Send) -> asyncio.Transport:
    """Return the TCP transport behind an ASGI `send`.

    Some faults break the connection, and ASGI has no message for that. In uvicorn, `send` is a
    bound method of the object that holds the request and its transport.
    """
    transport: asyncio.Transport = send.__self__.transport  # type: ignore[attr-defined]
    return transport


def github_request_id() -> str:
    """Return a request id in GitHub's format: five groups of hex digits."""
    groups = [secrets.token_hex(size).upper() for size in (2, 3, 4, 4, 4)]
    return ":".join(groups)
