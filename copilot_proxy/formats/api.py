"""What an API consists of: as clients speak it, as Copilot serves it, or both in one object.

Each folder of `formats` is one API, and its `api.py` has the one object that the rest of the
program knows of it. A request and its answer pass these steps, all of them pure:

    request  ClientApi.parse -> ClientApi.to_chat -> UpstreamApi.from_chat -> Copilot
    answer   client <- ChatWriter (client's events) <- StreamTranslator (chunks) <- Copilot

Where the client's API is the one that Copilot is asked on, its `NativePassage` takes the place of
both translations, and the answer goes through one `StreamTranslator` that only repairs it.
"""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple, Protocol

from copilot_proxy.catalogue import Model
from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.formats.reasoning_cache import ReasoningRecorder
from copilot_proxy.formats.rules import Fitted
from copilot_proxy.headers import Initiator

Json = dict[str, Any]


class RequestMetrics(NamedTuple):
    """How much of what a request holds, for the log; never what it says."""

    items: int
    """Messages of a conversation, items of a Responses input, or inputs to embed."""
    tools: int = 0
    images: int = 0
    effort: str | None = None
    """The reasoning effort that is asked for, in the client's own word."""


class StreamTranslator(Protocol):
    """Turns Copilot's answer to one request into events, or into one whole answer.

    `feed` takes the decoded JSON of one of Copilot's events, or of a whole body, and returns the
    events that it makes; `close` is called once, when Copilot's answer has ended, and returns the
    last events. Both raise `UpstreamError` when the answer is not one.
    """

    @property
    def usage(self) -> Json | None:
        """Copilot's token counts so far, in the shape of chat completions."""
        ...

    @property
    def copilot_usage(self) -> Json | None:
        """What GitHub charges, as far as it has been said."""
        ...

    @property
    def failure(self) -> CopilotProxyError | None:
        """An error that Copilot sent as an event, and that has been passed on as one."""
        ...

    @property
    def is_finished(self) -> bool:
        """Whether the model has said that it is done; only counts may still follow."""
        ...

    @property
    def has_ended(self) -> bool:
        """Whether the last event of Copilot's has come, so that nobody need wait for more."""
        ...

    @property
    def is_complete(self) -> bool:
        """Whether the client's last event has been returned already, before `close`."""
        ...

    def feed(self, data: object) -> list[Json]: ...

    def close(self) -> list[Json]: ...

    def whole(self, events: list[Json]) -> Json:
        """The answer for a client that does not stream; `events` are all that `feed` and `close`
        have returned. Raises `UpstreamError`."""
        ...

    def fail(self, error: CopilotProxyError, request_id: str) -> list[Json]:
        """The events that tell of `error` in the middle of the stream, and end it."""
        ...


class ChatWriter(Protocol):
    """Turns chunks of chat completions into a client's events; see `StreamTranslator`."""

    def feed(self, chunk: Json) -> list[Json]: ...

    def close(self) -> list[Json]: ...

    def whole(self, events: list[Json]) -> Json: ...

    def fail(self, error: CopilotProxyError, request_id: str) -> list[Json]: ...


class ClientApi(Protocol):
    """An API that clients speak."""

    @property
    def name(self) -> str:
        """The vendor's own name of it, which is also that of its folder."""
        ...

    @property
    def conversation_field(self) -> str:
        """The field of a request that is too long when its conversation is."""
        ...

    @property
    def stream_end(self) -> bytes:
        """What follows the last event of a stream."""
        ...

    def parse(self, body: bytes) -> Json:
        """The decoded and checked request; raises `RequestError`."""
        ...

    def metrics(self, request: Json) -> RequestMetrics: ...

    def initiator(self, request: Json) -> Initiator:
        """Who asked: the user, or an agent that goes on by itself."""
        ...

    def with_parameters(self, request: Json, parameters: Mapping[str, Any]) -> Json:
        """`request` with the fixed parameters of an alias, which have the names of chat
        completions."""
        ...

    def to_chat(self, request: Json, notes: list[str]) -> Json:
        """The request as one of chat completions; raises `RequestError`. `notes` gets a line for
        each change that may matter to the client."""
        ...

    def wants_usage(self, request: Json) -> bool:
        """Whether the client's answer has token counts in it."""
        ...

    def writer(self, request: Json) -> ChatWriter | None:
        """Writes the answer; None where chunks are what the client wants."""
        ...

    def frame(self, event: Json) -> bytes:
        """An event as it is sent."""
        ...

    def fail(self, request: Json, error: CopilotProxyError, request_id: str) -> list[Json]:
        """The events that tell of `error` where there is no answer yet."""
        ...

    def error_body(self, error: CopilotProxyError, request_id: str) -> Json:
        """The body of an HTTP answer that is an error."""
        ...


def is_same_api(client: object, upstream: object) -> bool:
    """Whether a `ClientApi` and an `UpstreamApi` are one: the object that is both."""
    return client is upstream


class NativePassage(Protocol):
    """The way of a request in the very API that the model is asked on."""

    def body(self, request: Json, model: Model | None, notes: list[str]) -> Fitted:
        """The request as the model takes it, otherwise as it came; raises `RequestError`."""
        ...

    def translator(
        self, request: Json, tool_names: Mapping[str, str], request_id: str
    ) -> StreamTranslator: ...


class UpstreamApi(Protocol):
    """An API that models are asked on."""

    @property
    def name(self) -> str: ...

    @property
    def path(self) -> str | None:
        """Its path at Copilot, by which the catalogue lists it too; None if it is asked through
        something else."""
        ...

    @property
    def native(self) -> NativePassage | None:
        """For clients of the same API; None where chat completions are that already."""
        ...

    def from_chat(self, chat: Json, model: Model | None, notes: list[str]) -> Fitted:
        """The body for `model` of a request of chat completions; raises `RequestError`."""
        ...

    def headers(self, body: Json, betas: Collection[str], notes: list[str]) -> dict[str, str]:
        """The headers that belong to the API; `betas` are the values of the client's
        ``anthropic-beta`` headers."""
        ...

    def reader(
        self,
        model: str,
        *,
        include_usage: bool,
        recorder: ReasoningRecorder | None,
        tool_names: Mapping[str, str],
    ) -> StreamTranslator:
        """Reads an answer as chunks of chat completions; `model` is the client's name of the
        model."""
        ...
