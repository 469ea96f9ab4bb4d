"""The protocols of a transport to Copilot, its requests and its responses.

These are used instead of httpx's classes, whose header handling took a tenth of a request's time.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple, Protocol, TypeVar

_Result = TypeVar("_Result")


class HttpRequest(NamedTuple):
    """A request with its complete body."""

    method: str
    url: str
    headers: Mapping[str, str]
    """Headers with lowercase names, without Host and Content-Length."""
    body: bytes | None
    timeouts: Mapping[str, float | None]
    """Timeouts in seconds, under httpx's names."""


class HttpResponse(Protocol):
    """A response whose body has not been read."""

    @property
    def status(self) -> int:
        """The HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers with lowercase names; repeated headers are joined with commas. Values are
        decoded as latin-1."""
        ...

    async def read(self) -> bytes:
        """Return the next bytes of the body without decompressing them, or b"" at the end. Raises
        `httpx.TransportError`."""
        ...

    async def receive(self, process: Callable[[bytes], _Result | None]) -> _Result | None:
        """Call `process` with the bytes of the body as they arrive, until it returns a result.

        Returns the result, or None at the end. `process` may be called outside of a task. Raises
        the same errors as `read`, and those of `process`.
        """
        ...

    async def aclose(self) -> None:
        """End the response, whether or not it was read."""
        ...


class Transport(Protocol):
    """Sends requests to Copilot."""

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Send a request and return its response once the headers have arrived. Raises
        `httpx.HTTPError`."""
        ...

    async def aclose(self) -> None:
        """Close all connections."""
        ...


async def receive_by_reading(
    read: Callable[[], Awaitable[bytes]], process: Callable[[bytes], _Result | None]
) -> _Result | None:
    """Implement `HttpResponse.receive` for a response that only supports `read`."""
    while data := await read():
        if (result := process(data)) is not None:
            return result
    return None
