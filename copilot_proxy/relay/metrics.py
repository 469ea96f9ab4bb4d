"""What a request looks like from outside: how much there is of what, and never what it says."""

from typing import Any, Final

from copilot_proxy.formats.chat_completions.request import count_images as chat_images
from copilot_proxy.formats.messages.request import count_images as messages_images
from copilot_proxy.formats.responses.request import count_images as responses_images
from copilot_proxy.relay.records import RequestRecord

Json = dict[str, Any]

_MESSAGES: Final = ("messages", "count_tokens")


def note_metrics(record: RequestRecord, request: Json) -> None:
    """Notes in `record` the counts of a checked request of the API `record.api`.

    Nothing is read but the lengths of lists and, once, where the images are.
    """
    record.items = _items(record.api, request)
    record.tools = len(request.get("tools") or ())
    record.images = _images(record.api, request)


def effort_of(api: str, request: Json) -> str | None:
    """How hard the model is asked to think, in the client's own word."""
    if api == "chat_completions":
        given = request.get("reasoning_effort")
    else:
        holder = request.get("reasoning" if api == "responses" else "output_config")
        given = holder.get("effort") if isinstance(holder, dict) else None
    return given if isinstance(given, str) else None


def _items(api: str, request: Json) -> int:
    """Messages of a conversation, items of a Responses input, or inputs to embed."""
    given = request["input"] if api in ("responses", "embeddings") else request["messages"]
    if not isinstance(given, list):
        return 1
    # A list of token ids is a single text.
    return 1 if api == "embeddings" and given and isinstance(given[0], int) else len(given)


def _images(api: str, request: Json) -> int:
    if api == "chat_completions":
        return chat_images(request["messages"])
    if api == "responses":
        return responses_images(request)
    return messages_images(request) if api in _MESSAGES else 0
