"""Answers a warm-up: a WebSocket request with ``generate: false``, which asks for no output.

The response has an id, so that the next request on the WebSocket can continue from it. A warm-up
costs nothing.
"""

from copilot_proxy.formats.responses.ids import new_id
from copilot_proxy.formats.responses.response_events import whole_events
from copilot_proxy.formats.responses.response_object import base_response
from copilot_proxy.formats.types import ResponsesEvent, ResponsesRequest


def warm_up_events(request: ResponsesRequest, created: int) -> list[ResponsesEvent]:
    """Return the events of the answer; `created` is in seconds since 1970."""
    usage = {
        "input_tokens": 0,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 0,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 0,
    }
    response = {
        **base_response(request, request["model"], created),
        "id": new_id("resp"),
        "status": "completed",
        "usage": usage,
    }
    return [
        {**event, "sequence_number": number} for number, event in enumerate(whole_events(response))
    ]
