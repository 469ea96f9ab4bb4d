"""Errors in Ollama's format, as a response body or as the last line of a stream."""

from copilot_proxy.errors import CopilotProxyError, join_sentences
from copilot_proxy.formats.permanent_errors import is_permanent, permanent_fields
from copilot_proxy.formats.types import ErrorBody, Json
from copilot_proxy.masking import mask


def error_status(error: CopilotProxyError) -> int:
    """Return the status for Ollama clients, some of which retry a 402 as often as a 429."""
    return 400 if error.status == 402 else error.status


def error_body(error: CopilotProxyError, request_id: str) -> ErrorBody:
    """Return ``{"error": "message", "code", "request_id"}``.

    Ollama clients only show the message, which therefore includes the hint. Access tokens in the
    text are masked.
    """
    fields: Json = {"error": mask(join_sentences(error.message, error.hint))}
    if error.code:
        fields["code"] = error.code
    if is_permanent(error):
        fields = permanent_fields(fields)
    return {**fields, "request_id": request_id}
