"""The protocol of an API as clients use it; the `api.py` of its folder implements it."""

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
    """The sizes of a request, for the log; never its content."""

    items: int
    """Messages of a conversation, items of a Responses input, or inputs to embed."""
    noun: str = "msg"
    """What `items` counts, in the log."""
    tools: int = 0
    effort: str | None = None
    """The requested reasoning effort, as the client spells it."""


class StreamFormat(NamedTuple):
    """How the events of one stream are written."""

    content_type: bytes
    frame: Callable[[ClientEvent], bytes]
    """Encodes an event."""
    end: bytes
    """The bytes that follow the last event."""
    keep_alive: bytes
    """Bytes that clients ignore, sent between events while there are none."""
    frame_json: Callable[[bytes], bytes] | None = None
    """Encodes an event that is JSON already; None if its JSON is not enough for that."""


class ClientApi(Protocol):
    """An API that clients speak."""

    @property
    def name(self) -> str:
        """The vendor's name of the API, which is also the name of its folder."""
        ...

    @property
    def client_path(self) -> str:
        """The path that clients call, such as ``/v1/messages``; other paths may begin with it."""
        ...

    def has_path(self, path: str) -> bool:
        """Return whether `path`, in its normal form, is one of the API's."""
        ...

    @property
    def identifying_header(self) -> bytes:
        """A header that only clients of this API send, in lower case; empty if there is none."""
        ...

    @property
    def request_id_header(self) -> bytes:
        """Where clients look for the request id, besides ``x-request-id``; may be empty."""
        ...

    @property
    def conversation_field(self) -> str:
        """The request field to name when the conversation is too long."""
        ...

    @property
    def effort_field(self) -> str:
        """The request field of the reasoning effort."""
        ...

    def parse(self, body: bytes) -> ClientRequest:
        """Return the decoded and validated request; raises `RequestError`."""
        ...

    def metrics(self, request: ClientRequest) -> RequestMetrics:
        """Return what the log says about a request, without reading its messages."""
        ...

    def count_images(self, request: ClientRequest) -> int:
        """Return the number of images in the whole conversation."""
        ...

    def initiator(self, request: ClientRequest) -> Initiator:
        """Return who caused the request: the user, or an agent that continues by itself."""
        ...

    def with_parameters(
        self, request: ClientRequest, parameters: Mapping[str, Any]
    ) -> ClientRequest:
        """Return `request` with the fixed parameters of an alias.

        The parameters have the names of Chat Completions.
        """
        ...

    def fields(self, request: ClientRequest) -> ClientFields:
        """Return the names of the request's fields, for notes."""
        ...

    def conversation(self, request: ClientRequest) -> Conversation:
        """Return the texts of the request, to recognise it by its words."""
        ...

    def output_limit(self, request: ClientRequest) -> int | None:
        """Return the limit on the answer's tokens, if the request has one."""
        ...

    def wants_reasoning(self, request: ClientRequest) -> bool:
        """Return whether the request asks the model to reason, or to show its reasoning."""
        ...

    def encrypted_reasoning(self, request: ClientRequest) -> list[str]:
        """Return the encrypted reasoning, or its signatures, of earlier answers."""
        ...

    def without_reasoning(
        self, request: ClientRequest, encrypted: Collection[str]
    ) -> ClientRequest:
        """Return `request` without the reasoning whose encrypted form is in `encrypted`."""
        ...

    def to_chat(self, request: ClientRequest, notes: list[str]) -> ChatRequest:
        """Translate the request to Chat Completions; raises `RequestError`.

        A line is added to `notes` for each change that may matter to the client.
        """
        ...

    def wants_usage(self, request: ClientRequest) -> bool:
        """Return whether the client's response includes token counts."""
        ...

    def writer(self, request: ClientRequest) -> ChatWriter | None:
        """Return the writer of the response, or None if the client reads chunks as they are."""
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
        """Return the status of an HTTP error response, which decides whether clients retry."""
        ...

    def model_object(
        self, model: Model, *, name: str | None = None, default: Model | None = None
    ) -> Json:
        """Return the object of `model`; `name` is its id if the client used an alias.

        `default` is the model that ``default`` means.
        """
        ...

    def model_list(
        self,
        models: Iterable[Model],
        aliases: Iterable[tuple[str, Model]],
        default: Model | None,
    ) -> Json:
        """Return the list of an account's models and the user's aliases for them."""
        ...


class NativeCounting(Protocol):
    """Has Copilot count the tokens of a request."""

    @property
    def path(self) -> str: ...

    def body(self, request: ClientRequest, model: Model | None) -> UpstreamBody:
        """Return the body to send to `path`; raises `RequestError`."""
        ...

    def answer(self, request: ClientRequest, answer: object) -> Json | None:
        """Return the client's form of Copilot's answer; None if that has no count."""
        ...


class CountingApi(ClientApi, Protocol):
    """A client API with a path for counting tokens."""

    @property
    def counting(self) -> NativeCounting | None:
        """How Copilot counts them; None if Copilot has no path for that on this API."""
        ...

    def countable_text(self, request: ClientRequest) -> str:
        """Return all text that counts as input, for an estimate."""
        ...

    def media_tokens(self, request: ClientRequest) -> int:
        """Return an estimate of the tokens of images and documents."""
        ...
