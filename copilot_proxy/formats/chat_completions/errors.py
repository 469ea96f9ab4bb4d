"""Errors in OpenAI's format."""

from copilot_proxy.errors import CopilotProxyError, join_sentences
from copilot_proxy.formats.permanent_errors import is_permanent, permanent_fields
from copilot_proxy.formats.types import ErrorBody, Json
from copilot_proxy.masking import mask


def error_status(error: CopilotProxyError) -> int:
    """Return the HTTP status for OpenAI's clients, with 400 in place of 402.

    Clients stop at a 400 and show it, but some retry a 402 as often as a 429.
    """
    return 400 if error.status == 402 else error.status


def error_body(error: CopilotProxyError, request_id: str) -> ErrorBody:
    """Return ``{"error": {"message", "type", "param", "code", "hint", "request_id", ...}}``.

    OpenAI's schema requires the first four keys. The hint is also appended to the message, since
    most clients show only the message. Tokens are masked.
    """
    fields: Json = {
        "message": mask(join_sentences(error.message, error.hint)),
        "type": error.type,
        "param": error.param,
        "code": error.code,
    }
    if error.hint:
        fields["hint"] = mask(error.hint)
    fields.update(error.extra)
    if is_permanent(error):
        fields = permanent_fields(fields)
    fields["request_id"] = request_id
    return {"error": fields}
