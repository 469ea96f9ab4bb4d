"""The base class of all translators that return Chat Completions chunks."""

from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.formats.chat_completions.completion_from_chunks import completion_from_chunks
from copilot_proxy.formats.chat_completions.errors import error_body
from copilot_proxy.formats.translators import RepeatedEvents
from copilot_proxy.formats.types import ChatChunk, ChatCompletion, ErrorBody


class ChunkTranslator:
    """Implements the common part of `formats.translators.StreamTranslator`."""

    failure: CopilotProxyError | None = None
    """Always None: an error event is raised as an exception."""
    notes: list[str] | None = None
    """Notes about changes that Copilot reports having made to the request."""
    repeated: RepeatedEvents | None = None
    has_ended = False
    is_complete = False
    """Always False, because only `close` returns the finish reason."""

    def whole(self, events: list[ChatChunk]) -> ChatCompletion:
        """Return the completion assembled from the chunks `events`."""
        return completion_from_chunks(events)

    def fail(self, error: CopilotProxyError, request_id: str) -> list[ErrorBody]:
        """Return an error in place of a chunk; OpenAI's SDKs raise it as an exception."""
        return [error_body(error, request_id)]
