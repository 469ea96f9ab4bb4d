"""What goes to Copilot and what comes back, whatever carries it.

httpx's own requests and answers are not used here: with them, a tenth of the time of a request
went into looking at headers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """Sent whole."""

    method: str
    url: str
    headers: Mapping[str, str]
    """With lower-case names, and without what says where the request goes and how long it is."""
    body: bytes | None
    timeouts: Mapping[str, float | None]
    """Seconds, under the names that httpx has for them."""


class HttpResponse(Protocol):
    """An answer whose body is still on the wire."""

    @property
    def status(self) -> int:
        """Of HTTP."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """With lower-case names; what comes several times stands in one value, after commas. Each
        character is a byte (latin-1)."""
        ...

    async def read(self) -> bytes:
        """What of the body has come since the last time, or comes next, packed as it is; empty at
        the end. Raises `httpx.TransportError`."""
        ...

    async def aclose(self) -> None:
        """Ends the answer, read or not."""
        ...


class Transport(Protocol):
    """A way to Copilot."""

    async def send(self, request: HttpRequest) -> HttpResponse:
        """The answer, as soon as its headers are there; raises `httpx.HTTPError`."""
        ...

    async def aclose(self) -> None:
        """Lets go of all connections."""
        ...
