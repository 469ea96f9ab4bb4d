"""Errors in OpenAI's format."""

from copilot_proxy.errors import CopilotProxyError, join_sentences
from copilot_proxy.formats.types import ErrorBody, Json
from copilot_proxy.masking import mask


def error_body(error: CopilotProxyError, request_id: str) -> ErrorBody:
    """Return ``{"error": {"message", "type", "param", "code", "hint", "request_id", ...}}``.

    OpenAI's schema requires the first four keys. The hint is also part of the message, since most
    clients show only that. Tokens are masked.
    """
    fields: Json = {
        "message": mask(join_sentences(error.message, error.hint)),
        "type": error.type,
        "param": error.param,
        "code": error.code,
    }
    if error.hint:
        fields["hint"] = mask(error.hint)
    fields["request_id"] = request_id
    fields.update(error.extra)
    return {"error": fields}
