"""The protocol of an upstream, which accepts a `Call` and returns an `UpstreamResponse`.

The response must always be closed, which aborts an unfinished request immediately.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from copilot_proxy.auth.copilot_auth import AuthState, TokenSource
from copilot_proxy.catalogue import Catalogue
from copilot_proxy.errors import UpstreamRefusal
from copilot_proxy.headers import Initiator
from copilot_proxy.upstreams.catalogue_cache import MAX_AGE
from copilot_proxy.upstreams.cooldowns import Cooldown

if TYPE_CHECKING:
    from copilot_proxy.formats.upstream_api import UpstreamApi

_Result = TypeVar("_Result")


class Call(NamedTuple):
    """A request to the upstream, in the format of `api`."""

    api: str
    """The name of the API; each API has its own cooldowns."""
    path: str | None
    """The path in the Copilot API; None for an API that Copilot does not offer."""
    body: dict[str, Any]
    request_id: str
    initiator: Initiator | None = None
    vision: bool = False
    headers: Mapping[str, str] = MappingProxyType({})
    """Headers required by the API, such as ``anthropic-version``."""
    auth: TokenSource | None = None
    """The caller's token; None to use the server's own sign-in."""
    content: bytes | None = None
    """`body` as JSON, if already encoded."""
    size: int = 0
    """The size of the client's conversation in bytes, roughly the size of the encoded `body`."""

    @property
    def stream(self) -> bool:
        """Whether a stream is requested. Even then, the response may be a single body."""
        return self.body.get("stream") is True


def ignore_refusal(error: UpstreamRefusal) -> None:
    """Do nothing; for responses to requests without cooldowns."""


class UpstreamResponse(Protocol):
    """The response to an accepted request. Use `receive` if `is_stream` is true, otherwise
    `whole`."""

    headers: Mapping[str, str]
    is_stream: bool
    refused: Callable[[UpstreamRefusal], None]
    """To be called if the response turns out to be a refusal, so that similar requests are not sent
    for a while."""

    async def whole(self) -> Any:
        """Return the decoded JSON of the body. Raises `UpstreamError`."""
        ...

    async def receive(self, process: Callable[[list[bytes]], _Result | None]) -> _Result | None:
        """Call `process` with the data of events as they arrive, until it returns a result.

        Events that arrive together are passed together. Returns the result, or None if the events
        end first. `process` may be called outside of a task. Raises `UpstreamError`.
        """
        ...

    def finish(self) -> None:
        """Report that the response is complete, even if the upstream has not closed it yet."""
        ...

    async def aclose(self) -> None:
        """End the request, whether or not the response was read."""
        ...


class Upstream(Protocol):
    """A service that answers calls."""

    @property
    def fixed_api(self) -> "UpstreamApi | None":
        """The only API that accepts conversations; None if the API depends on the model."""
        ...

    async def catalogue(
        self, auth: TokenSource | None = None, *, max_age: float = MAX_AGE
    ) -> Catalogue:
        """Return the account's models, from the cache if it is at most `max_age` seconds old."""
        ...

    def cached_catalogue(self, auth: TokenSource | None = None) -> Catalogue | None:
        """Return the account's models without waiting, or None if no recent list is cached."""
        ...

    async def send(self, call: Call) -> UpstreamResponse:
        """Send `call` and return the response, which must be closed. Raises `CopilotProxyError` if
        the request is not accepted."""
        ...

    def state(self) -> AuthState:
        """Return the sign-in state for ``/health``."""
        ...

    def active_cooldowns(self) -> list[Cooldown]:
        """Return the active cooldowns of the server's own sign-in."""
        ...

    async def aclose(self) -> None:
        """Close all connections."""
        ...
