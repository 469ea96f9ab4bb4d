"""What all translators whose events are chunks of chat completions have in common."""

from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.formats.chat_completions.errors import error_body
from copilot_proxy.formats.chat_completions.fold import fold
from copilot_proxy.formats.chat_completions.schema import Json


class ChunkTranslator:
    """The base of each `formats.api.StreamTranslator` that returns chunks."""

    failure: CopilotProxyError | None = None
    """Always None: an error that comes as an event is raised."""
    has_ended = False
    is_complete = False
    """Always False: the finish is among what `close` returns."""

    def whole(self, events: list[Json]) -> Json:
        """The completion that the chunks `events` add up to."""
        return fold(events)

    def fail(self, error: CopilotProxyError, request_id: str) -> list[Json]:
        """An error in place of a chunk, on which OpenAI's SDKs raise."""
        return [error_body(error, request_id)]
