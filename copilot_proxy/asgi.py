"""The types of ASGI applications (https://asgi.readthedocs.io/en/stable/specs/main.html).

They match the framework's types, but importing the latter would load the entire framework.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, Protocol

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

DISCONNECT: Final = "disconnect"
"""The key in the scope's state for a `Disconnect`, if the server can report disconnects."""


BODY_WRITER: Final = "body_writer"
"""The key in the scope's state for a `BodyWriter`, if the server has one. The writer is valid from
the start of a streamed response to its end. Middleware that inspects bodies must pass a copy of the
state to the application, so that the application does not find the writer."""

BODY: Final = "body"
"""The key in the scope's state for the request's body, if all of it arrived together with the
headers. Middleware that inspects bodies must pass on a state without this key."""


class BodyWriter(Protocol):
    """Writes parts of a response's body directly, without ASGI messages and without a task."""

    def is_ready(self) -> bool:
        """Return whether the client is connected and reading the response."""
        ...

    def write(self, data: bytes) -> bool:
        """Write a part of the body if `is_ready`, and return whether it was written.

        The last part must be sent as an ASGI message instead.
        """
        ...


class Disconnect:
    """Signals that a client disconnected before it had received its entire response.

    Without it, every request would need a task that waits for ASGI's disconnect message.
    """

    __slots__ = ("_callback", "_has_happened")

    def __init__(self) -> None:
        self._callback: Callable[[], None] | None = None
        self._has_happened = False

    def call(self, callback: Callable[[], None]) -> None:
        """Call `callback` soon after the client has disconnected."""
        self._callback = callback
        if self._has_happened:
            self.happen()

    def forget(self) -> None:
        """Drop the callback."""
        self._callback = None

    def happen(self) -> None:
        """Record that the client has disconnected."""
        self._has_happened = True
        if self._callback is not None:
            # Do not call the callback directly: if it cancelled a task that has not started yet,
            # the task would not clean up.
            asyncio.get_running_loop().call_soon(self._callback)


class ASGIApp(Protocol):
    """An application, or the response to one request.

    Middleware that only forwards a call can return the next application's coroutine, instead of
    awaiting it in a coroutine of its own.
    """

    # This is a coroutine function, because that is how the framework recognizes an application that
    # a route returns.
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...
