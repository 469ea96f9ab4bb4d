"""Converts the blocks of Anthropic's server tools to text, which every model can read.

Copilot does not run these tools, and refuses the blocks. They occur in conversations that were
started with another provider. Examples are searches, code, MCP calls, and summaries of earlier
messages.
"""

from typing import Any, Final

import msgspec

from copilot_proxy.formats.types import Json

SERVER_BLOCKS: Final = (
    "server_tool_use",
    "web_search_tool_result",
    "web_fetch_tool_result",
    "code_execution_tool_result",
    "bash_code_execution_tool_result",
    "text_editor_code_execution_tool_result",
    "tool_search_tool_result",
    "advisor_tool_result",
    "mcp_tool_use",
    "mcp_tool_result",
    "mcp_tool_listing",
    "fallback",
    "compaction",
)
_MEDIA: Final = ("image", "document")
_MEDIA_FIELDS: Final = ("type", "source", "title", "context")
_UNIMPORTANT: Final = ("type", "id", "tool_use_id", "cache_control", "caller")
_UNREADABLE: Final = "encrypted_"
"""The prefix of fields that only Anthropic can read."""


def changed_note(block_type: str) -> str:
    """Return the note for blocks of a type that were converted to text."""
    return f"changed {block_type} blocks to text: Copilot does not support them"


def replacements(block: Json) -> list[Json]:
    """Return the text that replaces a block, and the images and documents in it."""
    media: list[Json] = []
    text = block_text(_without_media(block, media))
    return [{"type": "text", "text": text}, *media]


def _without_media(value: Any, media: list[Json]) -> Any:
    """Return a copy of decoded JSON without base64. The images and documents are added to
    `media`."""
    if isinstance(value, list):
        return [_without_media(one, media) for one in value]
    if not isinstance(value, dict):
        return value
    source = value.get("source")
    if value.get("type") in _MEDIA and isinstance(source, dict) and source.get("type") == "base64":
        media.append({name: value[name] for name in _MEDIA_FIELDS if value.get(name)})
        return {**value, "source": "(follows)"}
    return {name: _without_media(one, media) for name, one in value.items()}


def block_text(block: Json) -> str:
    """Return the text that replaces a block without images or documents."""
    summary = block.get("content")
    if block["type"] == "compaction" and isinstance(summary, str):
        return f"Summary of the conversation so far:\n{summary}"
    fields = {name: v for name, v in block.items() if name not in _UNIMPORTANT and v is not None}
    described = msgspec.json.encode(_readable(fields)).decode()
    return f"({block['type']}: {described})"


def _readable(value: Any) -> Any:
    """Return a copy of decoded JSON without encrypted fields."""
    if isinstance(value, list):
        return [_readable(one) for one in value]
    if isinstance(value, dict):
        kept = {n: v for n, v in value.items() if not n.startswith(_UNREADABLE)}
        return {name: _readable(v) for name, v in kept.items()}
    return value
