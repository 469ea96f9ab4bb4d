"""A request through the hub, chat completions: how it gets to Copilot's API, and its answer back.

Nothing is decided here: `client` and `api` are given.
"""

from collections.abc import Callable
from typing import Any, Final, Literal, NamedTuple, Protocol

from copilot_proxy.catalogue import Model
from copilot_proxy.errors import CopilotProxyError, UpstreamError
from copilot_proxy.formats.chat_completions.adapt import adapt_request
from copilot_proxy.formats.chat_completions.errors import error_body
from copilot_proxy.formats.chat_completions.reasoning_cache import ReasoningRecorder
from copilot_proxy.formats.chat_completions.stream_repair import ChatRepair, fold
from copilot_proxy.formats.chat_completions.tool_names import ToolNames
from copilot_proxy.formats.messages.request_from_chat import from_chat as chat_to_messages
from copilot_proxy.formats.messages.request_to_chat import to_chat as messages_to_chat
from copilot_proxy.formats.messages.stream_from_chat import ChatToMessages
from copilot_proxy.formats.messages.stream_to_chat import MessagesToChat
from copilot_proxy.formats.responses.request_from_chat import from_chat as chat_to_responses
from copilot_proxy.formats.responses.request_to_chat import to_chat as responses_to_chat
from copilot_proxy.formats.responses.stream_from_chat import ChatToResponses
from copilot_proxy.formats.responses.stream_to_chat import ResponsesToChat

Json = dict[str, Any]
ChatApi = Literal["chat_completions", "responses", "messages", "pi_ai"]


def to_hub(client: ChatApi, request: Json, notes: list[str]) -> Json:
    """A client's request as a chat completions request, with a note for each change."""
    if client == "responses":
        return responses_to_chat(request, notes)
    if client == "messages":
        return messages_to_chat(request, notes)
    return request


def from_hub(chat: Json, api: ChatApi, model: Model | None, notes: list[str]) -> Json:
    """A chat completions request as the body for `api`; raises `RequestError` for what cannot be
    asked there."""
    if api == "responses":
        return chat_to_responses(chat, model, notes)
    if api == "messages":
        return chat_to_messages(chat, model, notes)
    if api == "pi_ai":
        return _to_pi(chat, model, notes)
    body, more = adapt_request(chat, model)
    notes += more
    return body


class Reader(Protocol):
    """Turns upstream's events, or a whole answer, into chunks of the hub."""

    @property
    def usage(self) -> Json | None: ...
    @property
    def copilot_usage(self) -> Json | None: ...
    @property
    def is_finished(self) -> bool: ...
    def feed(self, data: object) -> list[Json]: ...
    def close(self) -> list[Json]: ...


class Writer(Protocol):
    """Turns chunks of the hub into a client's events."""

    def feed(self, chunk: Json) -> list[Json]: ...
    def close(self) -> list[Json]: ...
    def fail(self, error: CopilotProxyError, request_id: str) -> list[Json]: ...


class Translator:
    """Upstream's events to chunks, and those to the client's events; without a `writer` they are
    these already."""

    def __init__(
        self, reader: Reader, writer: Writer | None, names: ToolNames, listener: ReasoningRecorder
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._names = names or None
        self._listener = listener

    @property
    def usage(self) -> Json | None:
        """Upstream's counts, in the hub's shape."""
        return self._reader.usage

    @property
    def copilot_usage(self) -> Json | None:
        """What GitHub charges."""
        return self._reader.copilot_usage

    @property
    def is_finished(self) -> bool:
        """Whether only counts may follow."""
        return self._reader.is_finished

    def feed(self, data: object) -> list[Json]:
        """The client's events of one of upstream's."""
        return self._written(self._reader.feed(data))

    def close(self) -> list[Json]:
        """The client's last events."""
        events = self._written(self._reader.close())
        return events if self._writer is None else [*events, *self._writer.close()]

    def _written(self, chunks: list[Json]) -> list[Json]:
        for chunk in chunks:
            self._listener.hear(chunk)
            if self._names is not None:
                self._names.restore(chunk)
        if self._writer is None:
            return chunks
        return [event for chunk in chunks for event in self._writer.feed(chunk)]


def reader_of(api: ChatApi, model: str, *, include_usage: bool) -> Reader:
    """Reads the answer of `api`; `model` is what the client calls the model."""
    return _READERS[api](model, include_usage=include_usage)


class Written(NamedTuple):
    """How a client's answer is written."""

    writer: Writer | None
    """None where chunks are what the client wants."""
    whole: Callable[[list[Json], object], Json]
    """Makes a whole answer of all events."""
    fail: Callable[[CopilotProxyError, str], list[Json]]
    """Makes the events that tell a failure; the second argument is the request's id."""


def written_for(client: ChatApi, request: Json) -> Written:
    """How the answer to `request` is written."""
    if client == "responses":
        responses = ChatToResponses(request, request["model"])
        return Written(responses, lambda events, given: responses.response, responses.fail)
    if client == "messages":
        messages = ChatToMessages(request, request["model"])
        return Written(messages, lambda events, given: messages.message, messages.fail)
    return Written(
        None,
        lambda events, given: fold(events),
        # OpenAI's SDKs raise on such an event.
        lambda error, request_id: [error_body(error, request_id)],
    )


def _to_pi(chat: Json, model: Model | None, notes: list[str]) -> Json:
    from copilot_proxy.formats.pi_ai.request_from_chat import to_pi

    if model is None:
        raise UpstreamError(
            "Copilot's list of models cannot be read, and pi-ai cannot do without it.",
            code="upstream_unreachable",
            hint="Try again in a moment.",
        )
    return to_pi(chat, model, notes)


def _pi_stream(model: str, *, include_usage: bool) -> Reader:
    # Whoever does not ask through pi-ai does not pay for it.
    from copilot_proxy.formats.pi_ai.stream_to_chat import PiAiToChat

    return PiAiToChat(model, include_usage=include_usage)


_READERS: Final[dict[ChatApi, Callable[..., Reader]]] = {
    "chat_completions": ChatRepair,
    "responses": ResponsesToChat,
    "messages": MessagesToChat,
    "pi_ai": _pi_stream,
}
