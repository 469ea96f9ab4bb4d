"""A request through the hub, chat completions: how it gets to Copilot's API, and its answer back.

Nothing is decided here: `client` and `api` are given.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, NamedTuple, Protocol

from copilot_proxy.catalogue import Model
from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.formats.chat_completions.errors import error_body
from copilot_proxy.formats.chat_completions.reasoning_cache import ReasoningRecorder
from copilot_proxy.formats.chat_completions.request_to_model import chat_for_model
from copilot_proxy.formats.chat_completions.stream_repair import ChatRepair, fold
from copilot_proxy.formats.messages.request_to_chat import to_chat as messages_to_chat
from copilot_proxy.formats.messages.request_to_model import messages_from_chat
from copilot_proxy.formats.messages.stream_from_chat import ChatToMessages
from copilot_proxy.formats.messages.stream_to_chat import MessagesToChat
from copilot_proxy.formats.responses.request_to_chat import to_chat as responses_to_chat
from copilot_proxy.formats.responses.request_to_model import responses_from_chat
from copilot_proxy.formats.responses.stream_from_chat import ChatToResponses
from copilot_proxy.formats.responses.stream_to_chat import ResponsesToChat
from copilot_proxy.formats.rules import Fitted

Json = dict[str, Any]
ChatApi = Literal["chat_completions", "responses", "messages", "pi_ai"]


def to_hub(client: ChatApi, request: Json, notes: list[str]) -> Json:
    """A client's request as a chat completions request, with a note for each change."""
    if client == "responses":
        return responses_to_chat(request, notes)
    if client == "messages":
        return messages_to_chat(request, notes)
    return request


def from_hub(chat: Json, api: ChatApi, model: Model | None, notes: list[str]) -> Fitted:
    """A chat completions request as the body for `api`; raises `RequestError` for what cannot be
    asked there."""
    if api == "responses":
        return responses_from_chat(chat, model, notes)
    if api == "messages":
        return messages_from_chat(chat, model, notes)
    if api == "pi_ai":
        # Whoever does not ask through pi-ai does not pay for it.
        from copilot_proxy.formats.pi_ai.request_to_model import pi_for_model

        return pi_for_model(chat, model, notes)
    return chat_for_model(chat, model, notes)


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
        self,
        reader: Reader,
        writer: Writer | None,
        names: Mapping[str, str],
        listener: ReasoningRecorder,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._names = names
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
            if self._names:
                _restore(chunk, self._names)
        if self._writer is None:
            return chunks
        return [event for chunk in chunks for event in self._writer.feed(chunk)]


def _restore(chunk: Json, names: Mapping[str, str]) -> None:
    """Gives tools the client's names, in place."""
    for choice in chunk["choices"]:
        for call in choice["delta"].get("tool_calls", ()):
            function = call["function"]
            if function.get("name") in names:
                function["name"] = names[function["name"]]


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
