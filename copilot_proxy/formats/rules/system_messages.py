"""Moves system messages within a conversation to positions that Claude accepts.

Source: Anthropic's documentation, Mid-conversation system messages,
https://platform.claude.com/docs/en/build-with-claude/mid-conversation-system-messages
"""

from collections.abc import Callable
from typing import NamedTuple

from copilot_proxy.formats.types import Json


class Placement(NamedTuple):
    """A conversation whose system messages are at positions that Claude accepts."""

    messages: list[Json]
    is_moved: bool
    """Whether any system message was moved."""
    added: int
    """The number of user messages that were added."""


def placed(
    messages: list[Json], role_of: Callable[[Json], str], filler: Callable[[], Json]
) -> Placement:
    """Return the messages with all system messages at positions that Claude accepts.

    Such a position follows a user message, and is at the end or before an assistant message. A
    system message moves to the next such position, so that later requests start in the same way.
    If an assistant message comes first, a user message made by `filler` is inserted before the
    system message.
    """
    result: list[Json] = []
    waiting: list[Json] = []
    is_moved, added, follows_user = False, 0, False
    for message in (*messages, None):
        role = role_of(message) if message else "assistant"
        if message and role == "system" and message["content"]:
            waiting.append(message)
            continue
        if role == "assistant" and waiting:
            if not follows_user:
                result.append(filler())
                added += 1
            result += waiting
            waiting = []
        if message:
            result.append(message)
        if role != "system":  # an empty one only configures the model, and may be anywhere
            follows_user = role != "assistant"
            is_moved = is_moved or bool(waiting)
    return Placement(result, is_moved, added)
