"""Fills in what a response object must say besides its output."""

from copilot_proxy.errors import CopilotProxyError, join_sentences
from copilot_proxy.formats.chat_completions.errors import error_body
from copilot_proxy.formats.responses.schema import Json
from copilot_proxy.masking import mask


def echo(request: Json, model: str, created: int) -> Json:
    """Every field that OpenAI's schema requires of a response, but `id`, `status` and `usage`.

    `created` is in seconds since 1970.
    """
    reasoning = request.get("reasoning") or {}
    return {
        "object": "response",
        "created_at": created,
        "model": model,
        "output": [],
        "error": None,
        "incomplete_details": None,
        "instructions": request.get("instructions"),
        "max_output_tokens": request.get("max_output_tokens"),
        "metadata": request.get("metadata") or {},
        "parallel_tool_calls": request.get("parallel_tool_calls") is not False,
        "previous_response_id": None,
        "reasoning": {"effort": reasoning.get("effort"), "summary": reasoning.get("summary")},
        "store": False,
        "temperature": _number(request.get("temperature")),
        "text": {"format": {"type": "text"}, **_set(request.get("text"))},
        "tool_choice": request.get("tool_choice") or "auto",
        "tools": request.get("tools") or [],
        "top_p": _number(request.get("top_p")),
        "truncation": request.get("truncation") or "disabled",
    }


def failed(response: Json, error: CopilotProxyError, request_id: str) -> Json:
    """`response` as it ends with `error`; OpenAI's schema knows no failure without a code."""
    body = error_body(error, request_id)["error"]
    return {
        **response,
        "status": "failed",
        "error": {**body, "code": error.code or "server_error"},
    }


def told(failure: CopilotProxyError) -> Json:
    """What an error of upstream's says, with the hint: most clients show the message alone."""
    return {"message": mask(join_sentences(failure.message, failure.hint)), "hint": failure.hint}


def _number(value: object) -> object:
    return 1.0 if value is None else value


def _set(value: object) -> Json:
    pairs = value.items() if isinstance(value, dict) else ()
    return {name: v for name, v in pairs if v is not None}
