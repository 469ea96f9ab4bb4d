"""Failures as OpenAI's error object."""

from copilot_proxy.errors import CopilotProxyError, join_sentences
from copilot_proxy.formats.chat_completions.schema import Json
from copilot_proxy.masking import mask


def error_body(error: CopilotProxyError, request_id: str) -> Json:
    """``{"error": {...}}`` with the four keys that OpenAI's schema requires, and what helps.

    The hint stands in the message as well: that is all that most clients show.
    """
    body: Json = {
        "message": mask(join_sentences(error.message, error.hint)),
        "type": error.type,
        "param": error.param,
        "code": error.code,
    }
    if error.hint:
        body["hint"] = mask(error.hint)
    body["request_id"] = request_id
    body.update(error.extra)
    return {"error": body}
