"""The base class of translators that change or watch the events of another translator."""

from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.formats.translators import RepeatedEvents, StreamTranslator
from copilot_proxy.formats.types import ChatUsage, ClientEvent, ClientResponse, CopilotUsage


class WrappedTranslator:
    """A `StreamTranslator` that passes each event of `translator` through `passed`."""

    notes: list[str] | None = None
    """Unused, because the inner translator notes what Copilot reports."""
    repeated: RepeatedEvents | None = None

    def __init__(self, translator: StreamTranslator) -> None:
        self._translator = translator
        self.fail = translator.fail

    @property
    def usage(self) -> ChatUsage | None:
        """Copilot's token counts so far, in the format of Chat Completions."""
        return self._translator.usage

    @property
    def copilot_usage(self) -> CopilotUsage | None:
        """The cost that GitHub charges, once Copilot has reported it."""
        return self._translator.copilot_usage

    @property
    def failure(self) -> CopilotProxyError | None:
        """The error that Copilot reported in an event, if that event was passed on."""
        return self._translator.failure

    @property
    def is_finished(self) -> bool:
        """Whether the model has sent its finish reason."""
        return self._translator.is_finished

    @property
    def finish_reason(self) -> str | None:
        """The reason why the model stopped."""
        return self._translator.finish_reason

    @property
    def has_ended(self) -> bool:
        """Whether Copilot's last event has arrived."""
        return self._translator.has_ended

    @property
    def is_complete(self) -> bool:
        """Whether `feed` has already returned the last event for the client."""
        return self._translator.is_complete

    def feed(self, data: object) -> list[ClientEvent]:
        """Return the events for one of Copilot's events."""
        return list(map(self.passed, self._translator.feed(data)))

    def close(self, *, done: bool = False) -> list[ClientEvent]:
        """Return the last events."""
        return list(map(self.passed, self._translator.close(done=done)))

    def whole(self, events: list[ClientEvent]) -> ClientResponse:
        """Return the response for a client that does not stream."""
        return self._translator.whole(events)

    def passed(self, event: ClientEvent) -> ClientEvent:
        """Return the event to pass on in place of `event`, which the translator returned."""
        return event
