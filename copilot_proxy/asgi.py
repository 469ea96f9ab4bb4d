"""The types of ASGI applications (https://asgi.readthedocs.io/en/stable/specs/main.html).

They match the framework's types; importing those would load the whole framework.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, Protocol

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

DISCONNECT: Final = "disconnect"
"""The key of a `Disconnect` in the scope's state, if the server knows when clients disconnect."""


BODY_WRITER: Final = "body_writer"
"""The key of a `BodyWriter` in the scope's state, from the start of a streamed response to its end,
if the server has one. Middleware that looks at bodies must give the application another state."""

BODY: Final = "body"
"""The key of a request's body in the scope's state, if all of it arrived together with the head.
The same applies to middleware that looks at it."""


class BodyWriter(Protocol):
    """Writes parts of a response's body without an ASGI message, and without a task."""

    def is_ready(self) -> bool:
        """Return whether the client is there, and reads what it is sent."""
        ...

    def write(self, data: bytes) -> bool:
        """Write a part of the body that is not the last one, if this `is_ready`; return whether it
        was."""
        ...


class Disconnect:
    """The disconnect of a client that does not have its whole response yet.

    Without it, a task has to wait for the ASGI message that says so, for every request.
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
        """Do not call anything any more."""
        self._callback = None

    def happen(self) -> None:
        """Record that the client has disconnected."""
        self._has_happened = True
        if self._callback is not None:
            # Not at once: a task that it cancels must have begun, or it would clean nothing up.
            asyncio.get_running_loop().call_soon(self._callback)


class ASGIApp(Protocol):
    """An application, or the response to one request.

    Middleware that only passes a call on returns the coroutine of the next application, instead of
    adding its own.
    """

    # A coroutine function, since the framework tells by that what a route returns.
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...
