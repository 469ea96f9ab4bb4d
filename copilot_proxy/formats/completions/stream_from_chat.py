"""Translates repaired chat chunks to the events of a Completions stream, or to one answer.

The format only has text, so reasoning is left out, and refusals are returned as text.
"""

from collections.abc import Iterable
from typing import Final

from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.formats.chat_completions.errors import error_body
from copilot_proxy.formats.completions.request_to_chat import INDEX
from copilot_proxy.formats.types import (
    ChatChunk,
    ClientEvent,
    ClientRequest,
    ClientResponse,
    ErrorBody,
)

_CHAT_ID: Final = "chatcmpl-"
_FINISHES: Final = ("stop", "length", "content_filter")


class ChatToCompletion:
    """Implements `ChatWriter` for one continuation."""

    def __init__(self, request: ClientRequest) -> None:
        self._index: int = request[INDEX]
        self._prompt = request["prompt"] if request.get("echo") else ""
        self._has_started = False

    def feed(self, chunk: ChatChunk) -> list[ClientEvent]:
        """Return the event for the chunk, if it has text, a finish reason or usage."""
        text, finish = "", None
        if not self._has_started:
            self._has_started = True
            text = self._prompt
        for choice in chunk["choices"]:
            delta = choice["delta"]
            text += (delta.get("content") or "") + (delta.get("refusal") or "")
            finish = choice["finish_reason"] or finish
        if chunk["choices"] and not text and finish is None:
            return []
        event = {
            **chunk,
            "id": f"cmpl-{chunk['id'].removeprefix(_CHAT_ID)}",
            "object": "text_completion",
            "choices": [],
        }
        if chunk["choices"]:
            # No tools were offered, so a tool call only means that the model has stopped.
            reason = finish if finish is None or finish in _FINISHES else "stop"
            event["choices"] = [
                {"index": self._index, "text": text, "logprobs": None, "finish_reason": reason}
            ]
        return [event]

    def close(self) -> list[ClientEvent]:
        """Return an empty list, because no event is held back."""
        return []

    def whole(self, events: list[ClientEvent]) -> ClientResponse:
        """Return the response assembled from the events."""
        return joined(events)

    def fail(self, error: CopilotProxyError, request_id: str) -> list[ErrorBody]:
        """Return an error in place of an event."""
        return [error_body(error, request_id)]


def joined(events: Iterable[ClientEvent]) -> ClientResponse:
    """Return the response with a single choice, assembled from all `events`."""
    response: ClientResponse = {}
    texts: list[str] = []
    choice = {}
    for event in events:
        response = {**event, **response}
        for name in ("usage", "copilot_usage"):
            if event.get(name) is not None:
                response[name] = event[name]
        for choice in event["choices"]:
            texts.append(choice["text"])
    if choice:
        response["choices"] = [{**choice, "text": "".join(texts)}]
    return response
