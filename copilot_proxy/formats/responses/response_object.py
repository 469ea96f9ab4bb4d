"""Fills in the fields that a response object needs besides its output."""

from typing import Final

from copilot_proxy.errors import CopilotProxyError, join_sentences
from copilot_proxy.formats.chat_completions.errors import error_body
from copilot_proxy.formats.permanent_errors import is_permanent, permanent_fields
from copilot_proxy.formats.types import Json, Response, ResponsesRequest
from copilot_proxy.masking import mask

_NO_CODE: Final = "server_error"
"""The code of an error without one."""


def base_response(request: ResponsesRequest, model: str, created: int) -> Response:
    """Return the fields that OpenAI's schema requires, except `id`, `status` and `usage`.

    `created` is in seconds since 1970. `store` in `request` must say whether the response will be
    remembered.
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
        "previous_response_id": request.get("previous_response_id"),
        "reasoning": {"effort": reasoning.get("effort"), "summary": reasoning.get("summary")},
        "store": request.get("store") is True,
        "temperature": _number(request.get("temperature")),
        "text": {"format": {"type": "text"}, **_without_nulls(request.get("text"))},
        "tool_choice": request.get("tool_choice") or "auto",
        "tools": request.get("tools") or [],
        "top_p": _number(request.get("top_p")),
        "truncation": request.get("truncation") or "disabled",
    }


def failed_response(response: Response, error: CopilotProxyError, request_id: str) -> Response:
    """Return `response` marked as failed with `error`.

    There is always an error code, because OpenAI's schema requires one.
    """
    body = error_body(error, request_id)["error"]
    return {
        **response,
        "status": "failed",
        "error": {**body, "code": error.code or _NO_CODE},
    }


def error_fields(failure: CopilotProxyError) -> Json:
    """Return the fields that clients read in an error that Copilot sent as an event.

    The code is OpenAI's if it has one for the error, since clients decide by it whether to wait, to
    compact the conversation or to stop. `upstream` contains Copilot's code. The message also
    contains the hint, since most clients show only the message.
    """
    fields: Json = {
        "code": failure.code or _NO_CODE,
        "message": mask(join_sentences(failure.message, failure.hint)),
        "hint": failure.hint,
        **failure.extra,
    }
    return permanent_fields(fields) if is_permanent(failure) else fields


def _number(value: object) -> object:
    return 1.0 if value is None else value


def _without_nulls(value: object) -> Json:
    pairs = value.items() if isinstance(value, dict) else ()
    return {name: v for name, v in pairs if v is not None}
