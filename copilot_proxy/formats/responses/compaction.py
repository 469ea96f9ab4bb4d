"""Compacts conversations for ``POST /v1/responses/compact``.

Copilot has no such path, so the model is asked for a summary. The client gets it as a compaction
item, and sends it back unread; the model then gets the summary as a message.
"""

import base64
import binascii
import zlib
from typing import Final

from copilot_proxy.errors import BrokenResponse
from copilot_proxy.formats.responses.ids import new_id
from copilot_proxy.formats.responses.request import input_items
from copilot_proxy.formats.types import Json, Response, ResponsesRequest

_LABEL: Final = "copilot-proxy-summary:"
"""Tells our own compaction items from those that a model has encrypted."""
_MAX_SUMMARY_BYTES: Final = 16 * 1024 * 1024
_PROMPT: Final = (
    "Stop here and write a summary of this conversation so far. It will replace everything above, "
    "except the user's own messages, so include all that is needed to continue: what the user "
    "wants, what was decided, what has been done and found (with names of files, commands and "
    "exact values), what failed, and what remains to be done. Answer with the summary only, and "
    "do not call a tool."
)
_PREFIX: Final = "Summary of the conversation so far, beside the user's own messages:\n\n"


def summary_request(request: ResponsesRequest) -> ResponsesRequest:
    """Return the request for a summary of the conversation in `request`."""
    prompt = {"type": "message", "role": "developer", "content": _PROMPT}
    summarized: ResponsesRequest = {
        name: request[name]
        for name in ("model", "instructions", "tools", "reasoning", "prompt_cache_key")
        if request.get(name) is not None
    }
    if summarized.get("tools"):
        # The model knows its earlier calls only with their tools.
        summarized["tool_choice"] = "none"
    return {**summarized, "input": [*input_items(request), prompt], "store": False}


def compacted(request: ResponsesRequest, response: Response) -> Json:
    """Return the compacted conversation: the user's messages and one compaction item.

    `response` answers `summary_request(request)`. Raises `BrokenResponse` if it has no text.
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
    return {
        "id": new_id("resp"),
        "object": "response.compaction",
        "created_at": response["created_at"],
        "output": [
            *(_user_message(item) for item in input_items(request) if item.get("role") == "user"),
            {"id": new_id("cmp"), "type": "compaction", "encrypted_content": _sealed(summary)},
        ],
        "usage": response["usage"],
    }


def summary_of(encrypted: object) -> str | None:
    """Return the message for the model if this is the content of one of our compaction items.

    Raises nothing: content that only looks like ours is None.
    """
    if not isinstance(encrypted, str) or not encrypted.startswith(_LABEL):
        return None
    try:
        packed = base64.b64decode(encrypted.removeprefix(_LABEL), validate=True)
        unpacked = zlib.decompressobj().decompress(packed, _MAX_SUMMARY_BYTES)
        return _PREFIX + unpacked.decode()
    except (binascii.Error, zlib.error, ValueError):
        return None


def _sealed(summary: str) -> str:
    return _LABEL + base64.b64encode(zlib.compress(summary.encode())).decode()


def _user_message(item: Json) -> Json:
    """Return a message of the user in OpenAI's full form."""
    content = item.get("content")
    parts = [{"type": "input_text", "text": content}] if isinstance(content, str) else content
    return {
        "id": item.get("id") or new_id("msg"),
        "type": "message",
        "status": "completed",
        "role": "user",
        "content": parts,
    }
