"""The types of ASGI applications (https://asgi.readthedocs.io/en/stable/specs/main.html).

They match the framework's types; importing those would load the whole framework.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class ASGIApp(Protocol):
    """An application, or the response to one request."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...
