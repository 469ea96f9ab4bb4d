"""Chains two translators: Copilot's events become chunks, which become events for the client."""

from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.formats.translators import ChatWriter, RepeatedEvents, StreamTranslator
from copilot_proxy.formats.types import ChatUsage, ClientEvent, CopilotUsage


class Pipeline:
    """A `StreamTranslator` in two steps: Copilot's events to chunks, then to client events."""

    notes: list[str] | None = None
    """Unused, because the first step notes what Copilot reports."""
    repeated: RepeatedEvents | None = None
    failure: CopilotProxyError | None = None
    is_complete = False

    def __init__(self, reader: StreamTranslator, writer: ChatWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.whole = writer.whole
        self.fail = writer.fail

    @property
    def usage(self) -> ChatUsage | None:
        """Copilot's token counts so far, in the format of Chat Completions."""
        return self._reader.usage

    @property
    def copilot_usage(self) -> CopilotUsage | None:
        """The cost that GitHub charges, once Copilot has reported it."""
        return self._reader.copilot_usage

    @property
    def is_finished(self) -> bool:
        """Whether the model has sent its finish reason."""
        return self._reader.is_finished

    @property
    def finish_reason(self) -> str | None:
        """The reason why the model stopped."""
        return self._reader.finish_reason

    @property
    def has_ended(self) -> bool:
        """Whether Copilot's last event has arrived."""
        return self._reader.has_ended

    def feed(self, data: object) -> list[ClientEvent]:
        """Return the events to send to the client for one of Copilot's events."""
        write = self._writer.feed
        return [event for chunk in self._reader.feed(data) for event in write(chunk)]

    def close(self, *, done: bool = False) -> list[ClientEvent]:
        """Return the last events to send to the client."""
        write = self._writer.feed
        events = [event for chunk in self._reader.close(done=done) for event in write(chunk)]
        return [*events, *self._writer.close()]
