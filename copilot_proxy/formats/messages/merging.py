"""Merges consecutive messages with the same role, when messages are translated for Claude."""

from copilot_proxy.formats.types import Json


def append(messages: list[Json], role: str, blocks: list[Json]) -> None:
    """Add `blocks` to the last message if its role is `role`, otherwise as a new message.

    Tool results come before the other blocks, as Claude requires.
    """
    if not blocks:
        return
    if messages and messages[-1]["role"] == role:
        blocks = messages.pop()["content"] + blocks
    if len(blocks) > 1:
        blocks.sort(key=lambda block: block["type"] != "tool_result")
    messages.append({"role": role, "content": blocks})


def merged(messages: list[Json]) -> list[Json]:
    """Merge consecutive messages with the same role; their contents must be lists of blocks."""
    result: list[Json] = []
    for message in messages:
        append(result, message["role"], message["content"])
    return result
