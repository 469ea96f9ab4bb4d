"""The protocols of an API: as clients use it, and as Copilot serves it.

Each folder of `formats` is one API; its `api.py` defines the object that the rest of the program
uses, which may implement both. A request and its response take these steps, all of them pure:

    request   ClientApi.parse -> ClientApi.to_chat -> UpstreamApi.from_chat -> Copilot
    response  client <- ChatWriter (client's events) <- StreamTranslator (chunks) <- Copilot

If the client's API is also the one that the model is called on, its `NativePassage` replaces both
translations, and the response passes a single `StreamTranslator` that only repairs it.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from copilot_proxy.catalogue import Model
from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.formats.client_fields import ClientFields
from copilot_proxy.formats.conversation import Conversation
from copilot_proxy.formats.reasoning_cache import ReasoningRecorder
from copilot_proxy.formats.rules import FittedBody
from copilot_proxy.formats.translators import ChatWriter, StreamTranslator
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
        """Whether `path`, in its normal form, is one of the API's."""
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
        """Whether the request asks the model to reason, or to show its reasoning."""
        ...

    def encrypted_reasoning(self, request: ClientRequest) -> list[str]:
        """Return the encrypted reasoning, or its signatures, of earlier answers."""
        ...

    def without_reasoning(
        self, request: ClientRequest, encrypted: Collection[str]
    ) -> ClientRequest:
        """Return `request` without the reasoning of which `encrypted` has the encrypted form."""
        ...

    def to_chat(self, request: ClientRequest, notes: list[str]) -> ChatRequest:
        """Translate the request to Chat Completions; raises `RequestError`.

        A line is added to `notes` for each change that may matter to the client.
        """
        ...

    def wants_usage(self, request: ClientRequest) -> bool:
        """Whether the client's response includes token counts."""
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
        """The same at Copilot; None if Copilot has no such path for this API."""
        ...

    def countable_text(self, request: ClientRequest) -> str:
        """Return all text that counts as input, for an estimate."""
        ...

    def media_tokens(self, request: ClientRequest) -> int:
        """Return an estimate of the tokens of images and documents."""
        ...


def is_same_api(client: object, upstream: object) -> bool:
    """Whether one object is both the `ClientApi` and the `UpstreamApi`."""
    return client is upstream


class NativePassage(Protocol):
    """Passes requests and responses on if the client speaks the API that the model is called on."""

    def body(self, request: ClientRequest, model: Model | None, notes: list[str]) -> FittedBody:
        """Return the request, changed only where the model requires it; raises `RequestError`."""
        ...

    def translator(
        self, request: ClientRequest, tool_names: Mapping[str, str], request_id: str
    ) -> StreamTranslator: ...


class UpstreamApi(Protocol):
    """An API that models are called on."""

    @property
    def name(self) -> str: ...

    @property
    def path(self) -> str | None:
        """The API's path at Copilot, as in the catalogue; None if the requests go elsewhere."""
        ...

    @property
    def native(self) -> NativePassage | None:
        """The passage for clients of the same API; None for Chat Completions, which needs none."""
        ...

    def accepted_stops(self, model: Model | None, stops: Sequence[str]) -> list[str]:
        """Return those of the stop sequences that can be sent to `model` on this API."""
        ...

    def accepts_documents(self, model: Model | None) -> bool:
        """Whether PDFs can be sent to `model` on this API; true if that is unknown."""
        ...

    def from_chat(self, chat: ChatRequest, model: Model | None, notes: list[str]) -> FittedBody:
        """Translate a Chat Completions request into the body for `model`; raises `RequestError`."""
        ...

    def headers(
        self, body: UpstreamBody, betas: Collection[str], notes: list[str]
    ) -> dict[str, str]:
        """Return the headers that the API requires.

        `betas` are the values of the client's ``anthropic-beta`` headers.
        """
        ...

    def with_cache_key(self, body: UpstreamBody, session: str | None) -> UpstreamBody:
        """Return `body` with a key for the conversation's cached prompt, if the API has such keys.

        `session` is the client's session, if it is known.
        """
        ...

    def reader(
        self,
        model: str,
        *,
        include_usage: bool,
        recorder: ReasoningRecorder | None,
        tool_names: Mapping[str, str],
        custom_tools: Collection[str] = (),
        used_ids: Collection[str] = (),
    ) -> StreamTranslator:
        """Return a translator of Copilot's response into Chat Completions chunks.

        `model` is the model name that the client sent. `tool_names` are the client's names of
        renamed tools, by the names that the model gets; `custom_tools` are the names of the
        client's custom tools, of which functions of the same name may take the place; `used_ids`
        are the ids of the conversation's tool calls.
        """
        ...
