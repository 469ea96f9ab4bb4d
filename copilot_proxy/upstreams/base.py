"""The seam between the server and whatever answers: one protocol, `Upstream`.

An upstream is handed a finished `Call` and gives an `UpstreamResponse`, which its receiver has to
close in any case: that ends the call upstream at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from copilot_proxy.auth.copilot_auth import AuthState, TokenSource
from copilot_proxy.catalogue import Catalogue
from copilot_proxy.headers import Initiator
from copilot_proxy.upstreams.cooldowns import Cooldown

Api = Literal["chat_completions", "responses", "messages", "count_tokens", "embeddings", "pi_ai"]


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request, in the format of `api`, as upstream is to get it."""

    api: Api
    body: dict[str, Any]
    request_id: str
    initiator: Initiator | None = None
    vision: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    """Those that belong to the API, such as ``anthropic-version``."""
    auth: TokenSource | None = None
    """The caller's own sign-in; None for the server's."""

    @property
    def stream(self) -> bool:
        """Whether events are asked for; the answer may be whole all the same."""
        return self.body.get("stream") is True


class UpstreamResponse(Protocol):
    """An accepted call. Exactly one of `whole` and `events` is to be used, by `is_stream`."""

    headers: Mapping[str, str]
    is_stream: bool

    async def whole(self) -> Any:
        """The decoded JSON of the body; raises `UpstreamError`."""
        ...

    async def events(self) -> list[bytes]:
        """The data of the next events, of all that arrived together; empty at the end. Raises
        `UpstreamError`."""
        ...

    def finish(self) -> None:
        """To be told that the answer is complete, though upstream may not have closed it yet."""
        ...

    async def aclose(self) -> None:
        """Ends the call, whether the answer was read or not."""
        ...


class Upstream(Protocol):
    """Something that answers calls."""

    @property
    def only(self) -> Literal["pi_ai"] | None:
        """The one API that it answers conversations on; None if each model's own."""
        ...

    async def models(self, auth: TokenSource | None = None, *, fresh: bool = False) -> Catalogue:
        """The account's models, from memory while they are young unless `fresh`."""
        ...

    async def send(self, call: Call) -> UpstreamResponse:
        """Sends `call`; the answer is to be closed. Raises `CopilotProxyError` when there is none
        to be had."""
        ...

    def state(self) -> AuthState:
        """What ``/health`` may tell anyone."""
        ...

    def cooldowns(self) -> list[Cooldown]:
        """Those of the server's own sign-in that are not over."""
        ...

    async def aclose(self) -> None:
        """Lets go of all connections."""
        ...
