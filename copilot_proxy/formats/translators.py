"""The protocols of translators, which convert the events of one API to those of another."""

from collections.abc import Sequence
from typing import Protocol

from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.formats.types import (
    ChatChunk,
    ChatUsage,
    ClientEvent,
    ClientResponse,
    CopilotUsage,
)


class RepeatedEvents(Protocol):
    """Translates events that differ from earlier ones only in their text, without decoding them."""

    def translated(self, batch: Sequence[object]) -> list[bytes] | None:
        """Return the JSON of the events to send to the client, given the JSON of Copilot's events.

        Returns None, and changes nothing, if one of Copilot's events must be decoded, or is not
        JSON.
        """
        ...

    def learn(self, data: bytes, event: object, translated: Sequence[ClientEvent]) -> bool:
        """Learn what `event`, the decoded `data`, was translated to; return whether similar events
        are now known."""
        ...


class StreamTranslator(Protocol):
    """Translates Copilot's response into events, or into a whole response.

    `feed` accepts the decoded JSON of one of Copilot's events, or of a whole body, and returns the
    resulting events. `close` is called once, after Copilot's response has ended, and returns the
    last events. `done` is True if Copilot marked the end; a missing finish reason then does not
    mean that the response was cut off. `feed` and `close` raise `UpstreamError` if Copilot's
    response is an error or invalid.
    """

    notes: list[str] | None
    """Receives a note for each change to the request that Copilot reports; None if unused."""

    repeated: RepeatedEvents | None
    """A shortcut that bypasses `feed`, if there is one."""

    @property
    def usage(self) -> ChatUsage | None:
        """Copilot's token counts so far, in the format of Chat Completions."""
        ...

    @property
    def copilot_usage(self) -> CopilotUsage | None:
        """The cost that GitHub charges, once Copilot has reported it."""
        ...

    @property
    def failure(self) -> CopilotProxyError | None:
        """The error that Copilot reported in an event, if that event was passed on."""
        ...

    @property
    def is_finished(self) -> bool:
        """Whether the model has sent its finish reason, so that only token counts may follow."""
        ...

    @property
    def finish_reason(self) -> str | None:
        """The reason why the model stopped, as named by Copilot's API or by OpenAI's; None if
        unknown."""
        ...

    @property
    def has_ended(self) -> bool:
        """Whether Copilot's last event has arrived, so that there is nothing more to wait for."""
        ...

    @property
    def is_complete(self) -> bool:
        """Whether `feed` has already returned the last event for the client, before `close`."""
        ...

    def feed(self, data: object) -> list[ClientEvent]: ...

    def close(self, *, done: bool = False) -> list[ClientEvent]: ...

    def whole(self, events: list[ClientEvent]) -> ClientResponse:
        """Return the response for a client that does not stream.

        `events` are all events returned by `feed` and `close`. Raises `UpstreamError`.
        """
        ...

    def fail(self, error: CopilotProxyError, request_id: str) -> list[ClientEvent]:
        """Return the events that report `error` in the middle of a stream and end it."""
        ...


class ChatWriter(Protocol):
    """Translates Chat Completions chunks to events for a client; see `StreamTranslator`."""

    def feed(self, chunk: ChatChunk) -> list[ClientEvent]: ...

    def close(self) -> list[ClientEvent]: ...

    def whole(self, events: list[ClientEvent]) -> ClientResponse: ...

    def fail(self, error: CopilotProxyError, request_id: str) -> list[ClientEvent]: ...
