"""Compacts conversations, for ``POST /v1/responses/compact`` and for ``compaction_trigger`` items.

The model is asked for a summary, because not every model can compact a conversation. The client
receives the summary as a compaction item, and sends the item back unread. The model then receives
the summary as a message.
"""

import base64
import binascii
import zlib
from typing import Final

from copilot_proxy.errors import BrokenResponse
from copilot_proxy.formats.responses.ids import new_id
from copilot_proxy.formats.responses.request import COMPACTION_TRIGGER, input_items
from copilot_proxy.formats.responses.tools import tools_of
from copilot_proxy.formats.types import Json, Response, ResponsesRequest

_LABEL: Final = "copilot-proxy-summary:"
"""Distinguishes our own compaction items from items encrypted by a model."""
_MAX_SUMMARY_BYTES: Final = 16 * 1024 * 1024
_TRIGGER: Final = {"type": COMPACTION_TRIGGER}
SUMMARY_PROMPT: Final = (
    "Stop here and write a summary of this conversation so far. It will replace everything above, "
    "except the user's own messages, so include all that is needed to continue: what the user "
    "wants, what was decided, what has been done and found (with file names, commands and "
    "exact values), what failed, and what remains to be done. Answer with the summary only, and "
    "do not call a tool."
)
_PREFIX: Final = "Summary of the conversation so far, besides the user's own messages:\n\n"


def is_compaction(request: ResponsesRequest) -> bool:
    """Return whether the request asks for a compaction instead of an answer; Codex sends such
    requests."""
    items = request["input"]
    return bool(items) and isinstance(items, list) and _is_trigger(items[-1])


def summary_request(request: ResponsesRequest) -> ResponsesRequest:
    """Return the request for a summary of the conversation in `request`.

    The compaction trigger at the end of the input becomes `SUMMARY_PROMPT` when the request is
    translated for the model.
    """
    summarized: ResponsesRequest = {
        name: request[name]
        for name in ("model", "stream", "instructions", "tools", "reasoning", "prompt_cache_key")
        if request.get(name) is not None
    }
    items = _without_trigger(request)
    if any(any(tools_of(holder)) for holder in (request, *items)):
        # The model can only understand its earlier calls if it knows the tools.
        summarized["tool_choice"] = "none"
    return {**summarized, "input": [*items, _TRIGGER], "store": False}


def compaction_response(response: Response) -> Response:
    """Return the answer to `summary_request` with the summary as a compaction item.

    Raises `BrokenResponse` if there is no complete summary.
    """
    summary = "\n\n".join(
        part["text"]
        for item in response["output"]
        if item.get("type") == "message"
        for part in item["content"]
        if part.get("type") == "output_text"
    ).strip()
    if not summary or response.get("status") != "completed":
        raise BrokenResponse(
            "The model did not write a complete summary.",
            hint="Try again, try another model, or let the client compact the conversation.",
        )
    item = {"id": new_id("cmp"), "type": "compaction", "encrypted_content": _sealed(summary)}
    return {**response, "output": [item]}


def compacted_conversation(request: ResponsesRequest, compaction: Response) -> Json:
    """Return the user's messages from `request`, followed by the output of `compaction`."""
    said = [item for item in _without_trigger(request) if item.get("role") == "user"]
    return {
        "id": compaction["id"],
        "object": "response.compaction",
        "created_at": compaction["created_at"],
        "output": [*map(_user_message, said), *compaction["output"]],
        "usage": compaction["usage"],
    }


def summary_of(encrypted: object) -> str | None:
    """Return the summary in one of our own compactions, as the text of a message.

    Returns None for any other content, even if it looks like ours.
    """
    if not isinstance(encrypted, str) or not encrypted.startswith(_LABEL):
        return None
    try:
        packed = base64.b64decode(encrypted.removeprefix(_LABEL), validate=True)
        unpacked = zlib.decompressobj().decompress(packed, _MAX_SUMMARY_BYTES)
        return _PREFIX + unpacked.decode()
    except (binascii.Error, zlib.error, ValueError):
        return None


def _is_trigger(item: object) -> bool:
    return isinstance(item, dict) and item.get("type") == COMPACTION_TRIGGER


def _without_trigger(request: ResponsesRequest) -> list[Json]:
    return [item for item in input_items(request) if not _is_trigger(item)]


def _sealed(summary: str) -> str:
    return _LABEL + base64.b64encode(zlib.compress(summary.encode())).decode()


def _user_message(item: Json) -> Json:
    """Return a user message in OpenAI's full form."""
    content = item.get("content")
    parts = [{"type": "input_text", "text": content}] if isinstance(content, str) else content
    return {
        "id": item.get("id") or new_id("msg"),
        "type": "message",
        "status": "completed",
        "role": "user",
        "content": parts,
    }
