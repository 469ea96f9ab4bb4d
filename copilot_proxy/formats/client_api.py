"""The `Protocol` of an API that clients speak; `api.py` in each API's folder implements it."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, NamedTuple, Protocol

from copilot_proxy.catalogue import Model
from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.formats.client_fields import ClientFields
from copilot_proxy.formats.conversation import Conversation
from copilot_proxy.formats.translators import ChatWriter
from copilot_proxy.formats.types import (
    ChatRequest,
    ClientEvent,
    ClientRequest,
    ErrorBody,
    Json,
    UpstreamBody,
)
from copilot_proxy.headers import Initiator


class RequestMetrics(NamedTuple):
    """Sizes and other facts about a request, to be logged; never its content."""

    items: int
    """The number of messages in a conversation, of items in a Responses input, or of inputs to
    embed."""
    noun: str = "msg"
    """The unit of `items` in the log."""
    tools: int = 0
    effort: str | None = None
    """The requested reasoning effort, in the client's spelling."""


class StreamFormat(NamedTuple):
    """How to write the events of a stream."""

    content_type: bytes
    frame: Callable[[ClientEvent], bytes]
    """Encodes an event."""
    end: bytes
    """The bytes that follow the last event."""
    keep_alive: bytes
    """Bytes that clients ignore, sent while there are no events."""
    frame_json: Callable[[bytes], bytes] | None = None
    """Encodes an event that is already JSON; None if the JSON alone is not enough."""


class ClientApi(Protocol):
    """An API that clients speak."""

    @property
    def name(self) -> str:
        """The vendor's name for the API, which is also the name of its folder."""
        ...

    @property
    def client_path(self) -> str:
        """The path that clients call, such as ``/v1/messages``, possibly followed by more
        segments."""
        ...

    def has_path(self, path: str) -> bool:
        """Return whether `path`, in normalized form, belongs to the API."""
        ...

    @property
    def identifying_header(self) -> bytes:
        """The lowercase name of a header that only this API's clients send; b"" if there is
        none."""
        ...

    @property
    def request_id_header(self) -> bytes:
        """A response header for the request id, besides ``x-request-id``; b"" if there is none."""
        ...

    @property
    def conversation_field(self) -> str:
        """The request field that the error names if the conversation is too long."""
        ...

    @property
    def effort_field(self) -> str:
        """The request field for the reasoning effort."""
        ...

    def parse(self, body: bytes) -> ClientRequest:
        """Return the decoded and validated request. Raises `RequestError`."""
        ...

    def metrics(self, request: ClientRequest) -> RequestMetrics:
        """Return the facts to log about a request, without reading its messages."""
        ...

    def count_images(self, request: ClientRequest) -> int:
        """Return the number of images in the entire conversation."""
        ...

    def initiator(self, request: ClientRequest) -> Initiator:
        """Return who caused the request: the user, or an agent that continues on its own."""
        ...

    def with_parameters(
        self, request: ClientRequest, parameters: Mapping[str, Any]
    ) -> ClientRequest:
        """Return `request` with the fixed parameters of an alias.

        The parameters have their Chat Completions names.
        """
        ...

    def fields(self, request: ClientRequest) -> ClientFields:
        """Return the names of the request's fields, for notes."""
        ...

    def conversation(self, request: ClientRequest) -> Conversation:
        """Return the text of the request."""
        ...

    def output_limit(self, request: ClientRequest) -> int | None:
        """Return the limit on output tokens, or None if the request has none."""
        ...

    def wants_reasoning(self, request: ClientRequest) -> bool:
        """Return whether the request asks the model to reason, or to show its reasoning."""
        ...

    def encrypted_reasoning(self, request: ClientRequest) -> list[str]:
        """Return the encrypted reasoning, or its signatures, from earlier answers."""
        ...

    def without_reasoning(
        self, request: ClientRequest, encrypted: Collection[str]
    ) -> ClientRequest:
        """Return `request` without the reasoning whose encrypted form is in `encrypted`."""
        ...

    def to_chat(self, request: ClientRequest, notes: list[str]) -> ChatRequest:
        """Translate the request to Chat Completions. Raises `RequestError`.

        Adds a line to `notes` for each change that may matter to the client.
        """
        ...

    def wants_usage(self, request: ClientRequest) -> bool:
        """Return whether the client's response should include token counts."""
        ...

    def writer(self, request: ClientRequest) -> ChatWriter | None:
        """Return the writer of the response, or None if the client reads chunks directly."""
        ...

    def stream_format(self, request: ClientRequest) -> StreamFormat: ...

    def fail(
        self, request: ClientRequest, error: CopilotProxyError, request_id: str
    ) -> list[ClientEvent]:
        """Return the events that report `error` before the response has begun."""
        ...

    def error_body(self, error: CopilotProxyError, request_id: str) -> ErrorBody:
        """Return the body of an HTTP error response."""
        ...

    def error_status(self, error: CopilotProxyError) -> int:
        """Return the status of an HTTP error response, which determines whether clients retry."""
        ...

    def model_object(
        self, model: Model, *, name: str | None = None, default: Model | None = None
    ) -> Json:
        """Return the object that represents `model`.

        If the client used an alias, `name` is the alias, and replaces the model's id. `default` is
        the model that the name ``default`` refers to.
        """
        ...

    def model_list(
        self,
        models: Iterable[Model],
        aliases: Iterable[tuple[str, Model]],
        default: Model | None,
    ) -> Json:
        """Return the list of an account's models, including the user's aliases for them."""
        ...


class NativeCounting(Protocol):
    """Lets Copilot count the tokens of a request."""

    @property
    def path(self) -> str: ...

    def body(self, request: ClientRequest, model: Model | None) -> UpstreamBody:
        """Return the body to send to `path`. Raises `RequestError`."""
        ...

    def answer(self, request: ClientRequest, answer: object) -> Json | None:
        """Return Copilot's answer in the client's format, or None if it contains no count."""
        ...


class CountingApi(ClientApi, Protocol):
    """A client API with a path for counting tokens."""

    @property
    def counting(self) -> NativeCounting | None:
        """How Copilot counts tokens, or None if Copilot does not count them for this API."""
        ...

    def countable_text(self, request: ClientRequest) -> str:
        """Return all text that counts as input, for an estimate."""
        ...

    def media_tokens(self, request: ClientRequest) -> int:
        """Return the estimated number of tokens in images and documents."""
        ...
